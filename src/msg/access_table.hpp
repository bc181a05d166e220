// Users, tokens and policies as they stand at one moment, ready to be asked who somebody is. A value that nobody
// changes: what changed is another one. Losing any part of it never grants more.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "msg/access.hpp"

namespace kvd {

class AccessTable {
 public:
  struct User {
    std::string name;
    uint64_t number = 0;  // the revision that made him; 0: he is always there
    bool root = false;    // may do everything
    std::vector<std::shared_ptr<const Policy>> policies;
  };

  // Of nothing: root, and anonymous without any right.
  AccessTable();
  explicit AccessTable(const std::vector<Record>& records);  // of Space::kAccess, by key
  AccessTable(const AccessTable&) = delete;
  AccessTable& operator=(const AccessTable&) = delete;

  // Null: there is no such user. Lives as long as the table.
  const User* find(std::string_view name) const;
  const User* known_by(std::string_view identity) const;  // "dns:.." and the like
  // One whose user is there. Whether it has expired is for who knows the time.
  std::optional<TokenRecord> token(std::string_view id) const;
  // That he is whom he says, by what he has shown. `now_ms` since 1970.
  bool shows(const Caller& caller, uint64_t now_ms) const;
  bool is_void(const TokenRecord& token) const;  // its user has gone

 private:
  void add_user(const Record& item);

  std::map<std::string, std::shared_ptr<const Policy>, std::less<>> policies_;
  std::map<std::string, User, std::less<>> users_;
  std::map<std::string, const User*, std::less<>> by_identity_;
  std::vector<Record> tokens_;  // by key: most of them are never asked for
};

using AccessTablePointer = std::shared_ptr<const AccessTable>;  // never null in a message

}  // namespace kvd
