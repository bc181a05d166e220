// See http_restore.hpp.
#include "shell/http/http_restore.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/json_writer.hpp"
#include "core/access/access_space.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr uint64_t kRestoreLogMs = 1000;

HttpResponse refusal(bool too_large, const std::string& wrong) {
  Problem problem;
  problem.status = too_large ? 413 : 400;
  problem.kind = too_large ? "too-large" : "bad-snapshot";
  problem.detail = "the snapshot " + wrong;
  problem.outcome = Outcome::kNotApplied;
  return problem_response(problem);
}

}  // namespace

std::optional<HttpResponse> HttpRestore::refuse(const std::string& wrong) {
  if (wrong.empty()) return std::nullopt;
  return refusal(reader_.too_large(), wrong);
}

std::optional<HttpResponse> HttpRestore::take(std::string_view body) {
  std::optional<HttpResponse> response = refuse(reader_.feed(body));
  if (response) response->close = true;  // the rest of the body is not read
  return response;
}

std::optional<HttpResponse> HttpRestore::verify() {
  if (auto response = refuse(reader_.finish())) return response;
  OptionalBox<ReplaceAccess> rights;
  if (plan_.replace_rights) {
    Result<ReplaceAccess> all = replacement_by(reader_.store());
    if (!all) return refusal(false, "has rights that cannot be restored: " + all.error().detail);
    if (bytes_of(*all) > limits::kAccessAtOnceBytes)
      return refusal(true, "has more users, tokens and policies than are restored at once");
    policies_ = all->policies.size(), users_ = all->users.size(), tokens_ = all->tokens.size();
    rights = std::move(*all);
  }
  writing_.emplace(reader_.take_store(), plan_.replace, timeout_, std::move(rights));
  return std::nullopt;
}

std::optional<HttpResponse> HttpRestore::answer(const HttpIdentity& identity, const HttpCounters& counters) {
  if (!writing_->ended()) return std::nullopt;
  if (!writing_->failed()) {
    JsonWriter json;
    json.begin_object().member("keys", writing_->keys());
    json.member("queues", writing_->queues().queues()).member("topics", writing_->topics().topics());
    json.member("messages", writing_->queues().messages() + writing_->topics().messages());
    if (writing_->left_out() != 0) json.member("left_out", writing_->left_out());
    if (plan_.replace) json.member("deleted", writing_->deleted());
    if (plan_.replace_rights)
      json.member("policies", policies_).member("users", users_).member("tokens", tokens_);
    json.member("revision", writing_->revision().value).end_object();
    HttpResponse response;
    response.content_type = kJson;
    response.body = json.take() + "\n";
    return response;
  }
  StoreAnswer reply = *writing_->failed();
  auto* failed = std::get_if<Failed>(&reply.answer);
  if (failed != nullptr && writing_->may_have_changed()) {
    failed->outcome = Outcome::kUnknown;
    const std::string deleted = plan_.replace
                                    ? fmt::format("{} keys were certainly deleted and ", writing_->deleted())
                                    : std::string();
    const uint64_t written = writing_->queues().written() + writing_->topics().written();
    const uint64_t all = writing_->queues().messages() + writing_->topics().messages();
    const std::string messages =
        all == 0 ? std::string() : fmt::format(" and {} of {} messages", written, all);
    failed->detail = fmt::format(
        "{}{} of {} keys{} were certainly written before this: {}; what is there is the snapshot in part: "
        "send it again with replace=true{}, until it is restored",
        deleted, writing_->written(), writing_->keys(), messages, failed->detail,
        plan_.replace_rights ? "&auth=replace" : "");
  }
  return render_reply(plan_, reply, identity, counters);
}

LogLine HttpRestore::line(LogLevel level, std::string what) const {
  return LogLine{
      level,
      std::move(what),
      {{"deleted", std::to_string(writing_->deleted())},
       {"written", std::to_string(writing_->written())},
       {"of", std::to_string(writing_->keys())},
       {"left_out", std::to_string(writing_->left_out())},
       {"messages", std::to_string(writing_->queues().written() + writing_->topics().written())},
       {"of_messages", std::to_string(writing_->queues().messages() + writing_->topics().messages())},
       {"revision", std::to_string(writing_->revision().value)}}};
}

std::optional<LogLine> HttpRestore::progress(uint64_t now_ms) {
  if (writing_->revision() == Revision(0)) return std::nullopt;
  if (logged_ms_ == 0) logged_ms_ = now_ms;
  const bool done = writing_->ended() && !writing_->failed();
  if (!done && now_ms - logged_ms_ < kRestoreLogMs) return std::nullopt;
  logged_ms_ = now_ms;
  return line(LogLevel::kInfo, done ? "has restored a snapshot" : "restores a snapshot");
}

std::vector<uint32_t> HttpRestore::under_way() const {
  return writing_ ? writing_->under_way() : std::vector<uint32_t>();
}

std::optional<LogLine> HttpRestore::given_up() const {
  if (!writing_ || !writing_->may_have_changed()) return std::nullopt;
  return line(LogLevel::kWarn,
              "the client of a restore has gone in its midst: send the snapshot again, with replace=true");
}

Store HttpRestore::take_store() { return writing_ ? writing_->take_store() : reader_.take_store(); }

}  // namespace kvd
