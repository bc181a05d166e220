// See http_connection.hpp: who makes a connection's requests, and what becomes of who may not. The node judges every
// call. What is done here comes before: nobody sends a body in vain, and what the node is not asked for is judged, too.
#include <fmt/format.h>

#include <utility>

#include "core/access/judge.hpp"
#include "msg/znodes.hpp"
#include "shell/http/http_accept.hpp"
#include "shell/http/http_auth.hpp"
#include "shell/http/http_connection.hpp"
#include "shell/wall_clock.hpp"

namespace kvd {
namespace {

constexpr size_t kFailuresMax = 8;  // of what was shown; then the connection closes

}  // namespace

// What `accepted_` asks is asked by whom the request shows. A refusal: he may not, or shows what is none.
std::optional<HttpResponse> HttpConnection::identify(const HttpRequest& request) {
  const HttpAccess& access = shared_.access;
  const Route route = accepted_->plan.route;
  if (goes_unaudited(request))
    return render_refusal({503, "this belongs into the audit log, which takes nothing now"}, request.method);
  if (access.mode == AuthMode::kOff && !is_of_rights()) return std::nullopt;
  const bool counts = access.mode == AuthMode::kOn || is_of_rights();
  auto caller = find_caller(request.fields.find("Authorization"));
  if (!caller && caller.error().not_yet && counts) return refused(ErrorCode::kNotReady, kRightsUnknown);
  if (!caller) {
    ++shared_.counters.unauthenticated;
    shown_ = caller.error().shown;
    tell_refused("a client shows who it is, and nobody is known by it", caller.error().detail);
    if (!counts) return std::nullopt;
    HttpResponse refusal = kvd::refuse(request, 401, "unauthenticated", std::move(caller.error().detail));
    refusal.close = caller_->count_failure() >= kFailuresMax;
    return refusal;
  }
  accepted_->call.caller = asks_ = std::move(*caller);
  if (auto refusal = refuse_crowd()) return refusal;
  const bool restores = route == Route::kRestore;  // of which the node is not asked
  if (route == Route::kWhoami || (!restores && (!counts || !request.has_body))) return std::nullopt;
  std::string why;
  std::optional<HttpResponse> refusal = judge_head(why);
  if (counts || !refusal) return refusal;
  tell_refused("would be refused with --auth on", why);
  return std::nullopt;
}

void HttpConnection::forget_caller() {
  asks_.reset();
  shown_.clear();
  replaces_rights_ = false;
}

FoundCaller HttpConnection::find_caller(std::optional<std::string_view> authorization) {
  if (!caller_)
    caller_ = std::make_unique<HttpCaller>(
        stream_.peer_uid(), stream_.is_secure() ? stream_.tls_names() : std::vector<std::string>());
  return caller_->find(authorization, shared_.access, wall_ms());
}

// As the node would refuse it.
HttpResponse HttpConnection::refused(ErrorCode code, std::string why) const {
  const Failed failed{code, Outcome::kNotApplied, std::move(why)};
  return render_reply(accepted_->plan, StoreAnswer{failed, {}, {}, {}}, shared_.options.identity,
                      shared_.counters);
}

std::optional<Failed> HttpConnection::missing_for_head() const {
  const Subject subject{accepted_->call.caller.get(), *shared_.access.table, wall_ms()};
  if (accepted_->plan.route != Route::kRestore) return missing_right(subject, accepted_->call);
  std::optional<Failed> missing = missing_right(subject, Resource::kSnapshot, Right::kWrite);
  // Whoever else does it may not be there any more in its midst.
  if (!missing && accepted_->plan.replace_rights && subject.name() != kRoot)
    missing = Failed{ErrorCode::kForbidden, Outcome::kNotApplied, "root alone restores who may do what"};
  return missing;
}

// By its head alone, while the body is still to come.
std::optional<HttpResponse> HttpConnection::judge_head(std::string& why) {
  std::optional<Failed> missing = missing_for_head();
  if (!missing) return std::nullopt;
  if (!shared_.access.whole) return refused(ErrorCode::kNotReady, kRightsUnknown);
  ++(missing->code == ErrorCode::kForbidden ? shared_.counters.forbidden : shared_.counters.unauthenticated);
  why = missing->detail;
  return refused(missing->code, std::move(missing->detail));
}

// Strangers have half of all connections, and each user as many as he may.
std::optional<HttpResponse> HttpConnection::refuse_crowd() {
  if (!asks_ || asks_->user == counted_) return std::nullopt;
  leave_crowd();
  const size_t most = shared_.options.auth.connections_each;
  if (most == 0 || asks_->user == kRoot) return std::nullopt;
  counted_ = asks_->user;
  if (++shared_.by_user[counted_] <= most) return std::nullopt;
  leave_crowd();
  HttpResponse response = kvd::refuse(
      parser_.request(), 429, "too-many-connections",
      fmt::format("{} has {} connections to this server already (--max-per-user)", asks_->user, most));
  response.close = true;
  return response;
}

void HttpConnection::leave_crowd() {
  if (stranger_ != 0) shared_.strangers.erase(std::exchange(stranger_, 0));
  const auto found = counted_.empty() ? shared_.by_user.end() : shared_.by_user.find(counted_);
  if (found != shared_.by_user.end() && --found->second == 0) shared_.by_user.erase(found);
  counted_.clear();
}

// ---- the audit log ----

bool HttpConnection::goes_unaudited(const HttpRequest& request) const {
  return shared_.audit != nullptr && !shared_.audit->takes() &&
         audit_record(request.method, request.target, nullptr).always;
}

// Of the parser's request; of a four-letter word there is none.
void HttpConnection::begin_audit(Slot& slot) {
  const HttpRequest& request = parser_.request();
  shared_.counters.audit_dropped = shared_.audit->dropped();
  shared_.counters.audit_failed = shared_.audit->failed();
  slot.audit = std::make_unique<AuditRecord>(audit_record(request.method, request.target, asks_));
  slot.audit->shown = shown_;
  slot.audit->replaces_rights = replaces_rights_;
}

// `status` 0: whether it was done nobody was told.
void HttpConnection::end_audit(Slot& slot, uint16_t status, Revision revision) {
  const std::unique_ptr<AuditRecord> record = std::move(slot.audit);
  if (!is_audited(*record, status, shared_.options.audit_writes)) return;
  const bool stranger = !record->caller && status >= 400;
  if (stranger && !shared_.audit_limit.takes(now_ms())) return;
  AuditAnswer answer{status, revision, "", stranger ? shared_.audit_limit.take_left_out() : 0};
  if (!stream_.peer_uid()) answer.address = client_address();
  shared_.audit->add(audit_line(*record, answer, shared_.options.identity.node.value, wall_ms()));
}

void HttpConnection::end_audits() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].audit && !slots_[i].done) end_audit(slots_[i], 0, Revision(0));
  }
}

// Whoever can reach the port can make us say it: hence the limit.
void HttpConnection::tell_refused(const char* what, const std::string& why) {
  const std::optional<uint64_t> left_out = shared_.refusal_lines.heard(why, now_ms());
  if (!left_out) return;
  LogLine line{LogLevel::kWarn, what, {}};
  if (!stream_.peer_uid()) line.fields.emplace_back("client", client_address());
  if (!shown_.empty()) line.fields.emplace_back("shown", shown_);
  line.fields.emplace_back("reason", why);
  if (*left_out > 0) line.fields.emplace_back("left_out", std::to_string(*left_out));
  shared_.log(std::move(line));
}

HttpResponse HttpConnection::whoami() const {
  const AccessTable& table = *shared_.access.table;
  const Subject subject{accepted_->call.caller.get(), table, wall_ms()};
  if (!accepted_->plan.question) return render_whoami(subject.caller, shared_.access.mode, table);
  const AccessQuestion& question = *accepted_->plan.question;
  std::optional<Failed> missing;
  if (question.user != subject.name()) missing = missing_right(subject, Resource::kAuth, Right::kRead);
  if (missing) return refused(missing->code, std::move(missing->detail));
  const AccessTable::User* user = table.find(question.user);
  if (user == nullptr)
    return refused(ErrorCode::kNoAccess, no_access(AccessKind::kUser, question.user).detail);
  return render_may(question, *user);
}

HttpResponse HttpConnection::access_list(const Slot& slot, const StoreAnswer& answer) const {
  return render_access(slot.plan, std::get<Listing>(answer.answer), *shared_.access.table, wall_ms());
}

// What goes on in somebody's name ends with his right to it: lines that are told, what is waited for, a snapshot that
// is restored.
void HttpConnection::end_without_right(const AccessTable& before) {
  const auto may = [&](const std::shared_ptr<const Caller>& caller) {
    return caller_ != nullptr && caller_->still_finds(caller.get(), shared_.access, wall_ms()) &&
           keeps_rights(caller ? std::string_view(caller->user) : kAnonymous, before, *shared_.access.table);
  };
  if (restore_ && !may(restore_caller_)) return close();
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.done && slot.goes_on && !may(slot.caller)) return close();
  }
}

bool HttpConnection::goes_on_in_vain() {
  if (!caller_ || shared_.access.mode != AuthMode::kOn) return false;
  const uint64_t now = wall_ms();
  if (restore_ && has_expired(restore_caller_.get(), now)) return true;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.done && slot.goes_on && has_expired(slot.caller.get(), now)) return true;
  }
  return false;
}

// The body may have come long after the head. Whoever was known by then is to be so still.
bool HttpConnection::is_unknown_by_now() {
  const bool counts = shared_.access.mode == AuthMode::kOn || accepted_->plan.route == Route::kWhoami;
  return counts && !caller_->still_finds(accepted_->call.caller.get(), shared_.access, wall_ms());
}

HttpResponse HttpConnection::refuse_unknown() const {
  ++shared_.counters.unauthenticated;
  return refused(ErrorCode::kUnauthenticated, "nobody is known any more by what is shown");
}

}  // namespace kvd
