// The judge: whether somebody may do something. One pure function, which knows of each operation and call what rights
// it needs: a new one does not compile before it has been given a rule here. What no rule grants is refused.
#pragma once
#include <optional>
#include <string>

#include "msg/access_table.hpp"
#include "msg/call.hpp"

namespace kvd {

struct Denied {
  Resource resource = Resource::kKv;
  Right right = Right::kRead;
  std::string path;  // a key or the like, or the prefix that was asked for
};

bool grants(const AccessTable::User& user, Resource resource, Right right, std::string_view path);

// The first right that is missing. None: he may. A call whose body is not there yet, for what is known of it.
std::optional<Denied> judge(const AccessTable::User& user, const Call& call);
std::optional<Denied> judge(const AccessTable::User& user, const Operation& operation,
                            const OptionalBox<Fence>& fence);

// It changes, or tells, who may do what: that is judged also where rights do not count yet.
bool concerns_access(const Call& call);

// For who was refused.
std::string explain(const Denied& denied, std::string_view user);

}  // namespace kvd
