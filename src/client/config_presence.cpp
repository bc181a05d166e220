// See config_presence.hpp.
#include "client/config_presence.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/percent.hpp"
#include "base/utc.hpp"
#include "client/answers.hpp"
#include "client/config_set.hpp"
#include "client/store_client.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr int64_t kLeaseMs = 10'000;
constexpr Duration kRenewPace = milliseconds(3000);
constexpr Duration kLeaseAnswer = seconds(3);  // there is time for another server, and for a third one
constexpr Duration kRecordAnswer = seconds(10);
constexpr Duration kRefusedPause = seconds(2);
constexpr Duration kGoodbye = seconds(2);

std::string utc_now() {
  return utc_text(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()));
}

std::string with_idempotency_key() { return "Idempotency-Key: " + draw_idempotency_key() + "\r\n"; }

}  // namespace

ConfigPresence::ConfigPresence(net::Loop& loop, HttpClient& client, const std::string& prefix,
                               const std::string& node,
                               std::function<void(const std::string& why)> on_refused)
    : client_(client),
      record_path_("/v1/kv/" + percent_encode_path(prefix + std::string(kConfigRecords) + node)),
      lease_name_(
          fmt::format("config {} {}", percent_encode_path(prefix), node).substr(0, limits::kLeaseNameBytes)),
      on_refused_(std::move(on_refused)),
      renew_(loop.get(), [this] { renew(); }),
      write_again_(loop.get(), [this] { write(); }),
      goodbye_(loop.get(), [this] { finish(); }) {
  grant();
}

// One that fails in the ordinary way goes on elsewhere, and the stream says what is to be said of it.
HttpEvents ConfigPresence::answered(std::unique_ptr<HttpCall>& call,
                                    void (ConfigPresence::*by)(const Response&)) {
  HttpEvents events;
  events.on_failed = [](const std::string&) { return true; };
  events.on_answer = [this, &call, by](const Response& answer) {
    if (refuses_access(answer.status))
      return on_refused_("what runs here cannot be told: " + problem_text(answer.status, answer.body));
    if (answer.status < 500 && problem_outcome(answer.body) != "unknown") return (this->*by)(answer);
    say_.once(problem_text(answer.status, answer.body) + "; trying on");
    call->try_again();
  };
  return events;
}

// ---- the lease ----

void ConfigPresence::grant() {
  lease_ = 0;
  HttpRequest request;
  request.method = "POST";
  const std::string target = fmt::format("/v1/leases?ttl={}&name={}", kLeaseMs, percent_encode(lease_name_));
  request.target = [target] { return target; };
  request.fields = with_idempotency_key();
  request.silence = kLeaseAnswer;
  lease_call_ = std::make_unique<HttpCall>(client_, std::move(request),
                                           answered(lease_call_, &ConfigPresence::on_granted));
}

void ConfigPresence::on_granted(const Response& answer) {
  const auto lease = parse_number_in(answer.body, "lease");
  if (answer.status != 201 || !lease) {
    say_.once(fmt::format("no lease: {}", problem_text(answer.status, answer.body)));
    return lease_call_->try_again();
  }
  lease_ = static_cast<uint64_t>(*lease);
  renew_.start(kRenewPace);
  told_ = false;
  write();
}

void ConfigPresence::renew() {
  HttpRequest request;
  request.method = "PUT";
  request.target = [lease = lease_] { return fmt::format("/v1/leases/{}", lease); };
  request.silence = kLeaseAnswer;
  lease_call_ = std::make_unique<HttpCall>(client_, std::move(request),
                                           answered(lease_call_, &ConfigPresence::on_renewed));
}

void ConfigPresence::on_renewed(const Response& answer) {
  if (answer.status == 410) return grant();
  answer.status < 300 ? renew_.start(kRenewPace) : lease_call_->try_again();
}

// ---- the record ----

void ConfigPresence::tell(const ConfigRecord& record) {
  std::string json = record_json(record);
  if (wanted_ == json) return;
  wanted_ = std::move(json);
  record_ = record;
  told_ = false;
  write();
}

// One after the other, each with one key for all of its tries, so that none that is late undoes a newer one.
void ConfigPresence::write() {
  if (told_ || !record_ || lease_ == 0 || write_call_ != nullptr || write_again_.running() || on_done_)
    return;
  told_ = true;
  record_->lease = lease_;
  record_->time = utc_now();
  HttpRequest request;
  request.method = "PUT";
  request.target = [this] { return record_path_; };
  request.fields = with_idempotency_key();
  request.body = record_json(*record_);
  request.silence = kRecordAnswer;
  write_call_ = std::make_unique<HttpCall>(client_, std::move(request),
                                           answered(write_call_, &ConfigPresence::on_written));
}

void ConfigPresence::on_written(const Response& answer) {
  write_call_.reset();
  const auto revision = parse_number_in(answer.body, "revision");
  if (answer.status < 300 && revision) {
    say_.forget();
    written_at_ = static_cast<uint64_t>(*revision);
    return write();
  }
  say_.once(fmt::format("what runs here cannot be told: {}", problem_text(answer.status, answer.body)));
  told_ = false;
  write_again_.start(kRefusedPause);
}

void ConfigPresence::on_seen(uint64_t revision, const std::string& json) {
  if (lease_ == 0 || write_call_ != nullptr || written_at_ == 0 || revision < written_at_) return;
  if (json.empty()) {
    told_ = false;
    return write();
  }
  if (std::exchange(seen_, json) == json) return;
  const auto seen = parse_config_record(json);
  if (!seen || seen->lease == lease_ || seen->lease == other_lease_) return;
  other_lease_ = seen->lease;
  if (other_lease_ > lease_)
    say_.line("another kvd config sync runs under the name of this node: give each its own --node");
}

// ---- the end ----

void ConfigPresence::end(std::function<void()> on_done) {
  on_done_ = std::move(on_done);
  write_call_.reset();
  write_again_.stop();
  renew_.stop();
  if (lease_ == 0) return finish();
  goodbye_.start(kGoodbye);
  HttpRequest request;
  request.method = "DELETE";
  request.target = [lease = lease_] { return fmt::format("/v1/leases/{}", lease); };
  request.silence = kGoodbye;
  HttpEvents events;
  events.on_failed = [](const std::string&) { return true; };
  events.on_answer = [this](const Response&) { finish(); };
  lease_call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

void ConfigPresence::finish() {
  lease_call_.reset();
  goodbye_.stop();
  on_done_();
}

}  // namespace kvd::client
