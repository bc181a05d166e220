// See stream_command.hpp.
#include "client/stream_command.hpp"

#include <sysexits.h>

#include <utility>

#include "client/output.hpp"

namespace kvd::client {
namespace {

constexpr size_t kStreamLineBytes = 128 << 20;  // the largest value, each byte of it escaped
constexpr Duration kLook = milliseconds(500);

}  // namespace

StreamCommand::StreamCommand(net::Loop& loop, std::vector<Server> servers, uint64_t seed)
    : loop_(loop), client_(loop.get(), std::move(servers), seed), look_(loop.get(), [this] {
        if (nobody_reads()) return finish(EX_IOERR);
        look_.start(kLook);
      }) {}

int StreamCommand::run() {
  ask();
  look_.start(kLook);
  loop_.run();
  return code_;
}

void StreamCommand::finish(int code) {
  code_ = code;
  call_.reset();
  look_.stop();
  loop_.stop();
}

void StreamCommand::ask() {
  HttpRequest request;
  request.method = "GET";
  request.target = [this] { return target(); };
  request.stream = true;
  request.line_bytes = kStreamLineBytes;
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    say_.once(why + "; trying on");
    return true;
  };
  events.on_answer = [this](const Response& answer) { on_answer(answer); };
  events.on_head = [this](const Response& head) { on_head(head); };
  events.on_line = [this](const std::string& line) { on_line(line); };
  events.on_end = [this](const std::string& why) { try_on(why); };
  call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

void StreamCommand::try_on(const std::string& why) {
  call_->try_again();
  say_.once(why + "; trying on");
}

void StreamCommand::put_out(const std::string& lines) {
  if (const int code = print(lines); code != EX_OK) finish(code);
}

}  // namespace kvd::client
