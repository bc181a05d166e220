// What the audit log says of requests: which ones are always in it, and a line for each. Pure functions, any thread.
//
// Always: whoever is refused for want of a right or of an identity that counts; what is asked of users, tokens and
// policies; settings, moving the lead, a new lineage, dropping a fence; backups and restores. Neither values nor
// tokens nor queries are ever in it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "msg/call.hpp"
#include "shell/http/http_parser.hpp"

namespace kvd {

// A request, until it is answered.
struct AuditRecord {
  HttpMethod method = HttpMethod::kOther;
  std::string path;  // of its target, without the query
  std::shared_ptr<const Caller> caller;
  // Without a caller: "token:ID", which does not count. Nothing tells that it was the token.
  std::string shown = {};
  bool always = false;
  bool replaces_rights = false;  // a restore, also of users, tokens and policies
};

AuditRecord audit_record(HttpMethod method, std::string_view target, std::shared_ptr<const Caller> caller);
// `writes`: those that were done are, too.
bool is_audited(const AuditRecord& record, uint16_t status, bool writes);

struct AuditAnswer {
  uint16_t status = 0;  // 0: nobody was told
  Revision revision;    // of the server that answered; 0: none
  std::string address;  // the client's; empty: of a Unix socket
  uint64_t left_out = 0;
};

// Whoever can reach the port can be refused as often as he likes: of strangers so many lines a second are written, and
// the next one tells how many were left out.
class AuditLimit {
 public:
  bool takes(uint64_t now_ms);  // false: it counts as left out
  uint64_t take_left_out() { return std::exchange(left_out_, 0); }

 private:
  uint64_t second_ = 0;
  uint64_t lines_ = 0;  // in it
  uint64_t left_out_ = 0;
};

// A line of JSON with its end. `now_ms` since 1970.
std::string audit_line(const AuditRecord& record, const AuditAnswer& answer, std::string_view node,
                       uint64_t now_ms);
// Of what no request has asked for: "reload".
std::string audit_event(std::string_view what, std::string_view node, uint64_t now_ms);

}  // namespace kvd
