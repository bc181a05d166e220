// See hosts_sync.hpp.
#include "client/hosts_sync.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <utility>

#include "base/percent.hpp"
#include "client/answers.hpp"
#include "client/hosts_file.hpp"

namespace kvd::client {
namespace {

constexpr Duration kWait = seconds(30);
constexpr Duration kAnswer = seconds(10);  // for an answer that waits for nothing
// Between two questions: names that change one after the other are written together.
constexpr Duration kSyncPace = milliseconds(100);
constexpr Duration kFilePause = seconds(2);  // after the file could not be written

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

HostsSync::HostsSync(net::Loop& loop, HostsSyncOptions options, uint64_t seed)
    : loop_(loop),
      options_(std::move(options)),
      file_(options_.file),
      client_(loop.get(), options_.servers, seed),
      ask_again_(loop.get(), [this] { ask(); }) {}

int HostsSync::run() {
  const auto recovered = file_.recover();
  if (recovered && *recovered) say_.line(options_.file + ": finished what was cut off");
  if (!recovered) say_.line(recovered.error().detail);
  ask();
  loop_.run();
  return code_;
}

void HostsSync::on_signal() { finish(EX_OK); }

void HostsSync::finish(int code) {
  code_ = code;
  call_.reset();
  ask_again_.stop();
  loop_.stop();
}

std::string HostsSync::target() const {
  std::string target = "/v1/hosts?format=hosts";
  if (!options_.zone.empty()) target += "&zone=" + percent_encode(options_.zone);
  if (!version_.empty()) target += fmt::format("&wait={}&since={}", to_ms(kWait), version_);
  return target;
}

void HostsSync::ask() {
  HttpRequest request;
  request.method = "GET";
  request.target = [this] { return target(); };
  request.silence = version_.empty() ? kAnswer : kWait + kStreamSilence;
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    if (options_.once && call_->tried_all()) {
      say_.line(why);
      finish(EX_UNAVAILABLE);
      return false;
    }
    say_.once(why + "; trying on");
    return true;
  };
  events.on_answer = [this](const Response& answer) { on_answer(answer); };
  call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

// Of this server, for now.
void HostsSync::on_useless(const std::string& why) {
  call_->try_again();
  if (options_.once && call_->tried_all()) {
    say_.line(why);
    return finish(EX_UNAVAILABLE);
  }
  say_.once(why + "; trying on");
}

void HostsSync::on_answer(const Response& answer) {
  const std::string_view version = field_of(answer, "Kvd-Hosts-Version");
  const bool unchanged = !version_.empty() && (answer.status == 204 || answer.status == 304);
  if (!unchanged) {
    if (refuses_access(answer.status)) {
      say_.line(problem_text(answer.status, answer.body));
      return finish(EX_UNAVAILABLE);
    }
    if (answer.status != 200) return on_useless(problem_text(answer.status, answer.body));
    if (field_of(answer, "Kvd-Complete") == "false")
      return on_useless("the server does not know all names yet");
    if (answer.body.empty()) return on_useless("the server names no hosts");
    if (!is_number(version)) return on_useless("the server does not say which version this is");
    block_ = answer.body;
  }
  if (!apply()) {
    version_.clear();
    return options_.once ? finish(code_) : ask_again_.start(kFilePause);
  }
  say_.forget();
  if (!unchanged) version_ = version;
  if (options_.once) return finish(EX_OK);
  ask_again_.start(kSyncPace);
}

// Also when the block is the one that was written last: others may have changed the file.
bool HostsSync::apply() {
  bool damaged = false;
  const auto changed = file_.update([&](std::string_view content) {
    auto edited = edit_hosts_file(content, options_.node, block_);
    damaged = !edited.has_value();
    return edited;
  });
  if (changed) return true;
  code_ = damaged ? EX_DATAERR : EX_IOERR;
  say_.once(changed.error().detail);
  return false;
}

}  // namespace kvd::client
