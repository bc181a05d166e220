// The judge: whether somebody may do something. Pure functions, which know of each operation and call what rights it
// needs: a new one does not compile before it has been given a rule here. What no rule grants is refused. Any thread.
#pragma once
#include <optional>
#include <string_view>

#include "msg/access_table.hpp"
#include "msg/call.hpp"

namespace kvd {

// While a server's copy misses something, whoever a revocation may be missing of is told no more than this.
inline constexpr char kRightsUnknown[] = "this server does not know yet who may do what";

// Who asks, and what he is judged by.
struct Subject {
  const Caller* caller;  // null: somebody who has shown nothing. He is anonymous
  const AccessTable& table;
  uint64_t now_ms;  // since 1970

  std::string_view name() const { return caller != nullptr ? std::string_view(caller->user) : kAnonymous; }
};

// Why he may not, by the first right that is missing: kForbidden; or kUnauthenticated, where nobody is known by what he
// shows, or he shows nothing. None: he may. Of a call whose body is not there yet, for what is known of it.
std::optional<Failed> missing_right(const Subject& subject, const Call& call);
std::optional<Failed> missing_right(const Subject& subject, const Operation& operation,
                                    const OptionalBox<Fence>& fence);
std::optional<Failed> missing_right(const Subject& subject, Resource resource, Right right);  // to all of it

bool grants(const AccessTable::User& user, Resource resource, Right right, std::string_view path);

// Whether the user is there, the same one as before, and may do all that he might then.
bool keeps_rights(std::string_view user, const AccessTable& before, const AccessTable& now);

// It changes, or tells, who may do what: that is judged also where rights do not count yet.
bool concerns_access(const Call& call);

}  // namespace kvd
