// Who makes a request: by a bearer token (RFC 6750), else by the certificate of the TLS client, else by the uid at the
// other end of a Unix socket; else nobody knows. What is shown and is none, or no more, is refused: it does not count
// as nothing. Loop thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "msg/access_table.hpp"
#include "msg/call.hpp"

namespace kvd {

// What a server goes by.
struct HttpAccess {
  AuthMode mode = AuthMode::kOff;
  std::optional<RootToken> root_token;  // --root-token-file
  uint32_t own_uid = 0;                 // who has it is root, and so is the system's root
  AccessTablePointer table = std::make_shared<const AccessTable>();
  bool whole = false;  // who is not in there is nobody
};

// Why nobody is found.
struct CallerError {
  std::string detail;
  std::string shown = {};  // "token:ID", for who looks for it; nothing tells that it was the token
  bool not_yet = false;    // it may well be somebody: this server does not know all yet
};

using FoundCaller = Result<std::shared_ptr<const Caller>, CallerError>;

// That everything has been judged already: a snapshot that is restored is written in root's name.
std::shared_ptr<const Caller> root_caller(std::string via);

// One connection's. It remembers whom it has found, until another token is shown, or rights change.
class HttpCaller {
 public:
  HttpCaller(std::optional<uint32_t> uid, std::vector<std::string> certificate_names)
      : uid_(uid), names_(std::move(certificate_names)) {}

  // `authorization`: the field's value, if there is one; `now_ms` since 1970. Null: somebody who has shown nothing. An
  // Error says what is wrong with what was shown.
  FoundCaller find(std::optional<std::string_view> authorization, const HttpAccess& access, uint64_t now_ms);
  // Whoever was found last is so still.
  bool still_finds(const Caller* caller, const HttpAccess& access, uint64_t now_ms);
  // Of answers that refused what was shown, this one included.
  size_t count_failure() { return ++failures_; }

 private:
  FoundCaller by_token(std::string_view authorization, const HttpAccess& access, uint64_t now_ms);
  FoundCaller by_connection(const HttpAccess& access) const;

  std::optional<uint32_t> uid_;
  std::vector<std::string> names_;
  AccessTablePointer table_;  // by which the following was found; null: nothing was yet
  std::optional<std::string> shown_;
  std::shared_ptr<const Caller> caller_;
  size_t failures_ = 0;
};

// By what he has shown: not any more.
bool has_expired(const Caller* caller, uint64_t now_ms);

}  // namespace kvd
