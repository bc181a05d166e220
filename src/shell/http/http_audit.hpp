// What the audit log says of requests: which ones are always in it, and a line for each. Pure functions, any thread.
//
// Always: whoever is refused for want of a right or of an identity that counts; what is asked of users, tokens and
// policies; settings, moving the lead, a new lineage, dropping a fence; backups and restores. Neither values nor
// tokens nor queries are ever in it.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "msg/call.hpp"
#include "shell/http/http_parser.hpp"

namespace kvd {

// A request, until it is answered.
struct AuditRecord {
  HttpMethod method = HttpMethod::kOther;
  std::string path;  // of its target, without the query
  std::shared_ptr<const Caller> caller;
  bool always = false;
};

AuditRecord audit_record(HttpMethod method, std::string_view target, std::shared_ptr<const Caller> caller);
bool is_audited(const AuditRecord& record, uint16_t status,
                bool writes);  // `writes`: those that were done, too

struct AuditAnswer {
  uint16_t status = 0;
  Revision revision;    // of the server that answered; 0: none
  std::string address;  // the client's; empty: of a Unix socket
};
// A line of JSON with its end. `now_ms` since 1970.
std::string audit_line(const AuditRecord& record, const AuditAnswer& answer, std::string_view node,
                       uint64_t now_ms);
// Of what no request has asked for: "reload".
std::string audit_event(std::string_view what, std::string_view node, uint64_t now_ms);

}  // namespace kvd
