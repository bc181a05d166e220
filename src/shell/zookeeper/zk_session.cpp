// See zk_session.hpp.
#include "shell/zookeeper/zk_session.hpp"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>

namespace kvd {
namespace {

constexpr Duration kPatience = seconds(20);  // for a connection, and for one call
constexpr Duration kPause = milliseconds(20);

bool is_certain(int code) {
  const ZkCode what = zk_code_of(code);
  return what != ZkCode::kUnknown && what != ZkCode::kNotConnected;
}

}  // namespace

ZkSession::ZkSession(ZkOptions options)
    : options_(std::move(options)), mailbox_(loop_.get(), [](const std::vector<ZkEvent>&) {}) {}

ZkSession::~ZkSession() {
  if (handle_ != nullptr) zk_close({handle_});
  mailbox_.close([] {});
  loop_.run();
}

std::optional<Error> ZkSession::connect() {
  const ZkContext context{mailbox_.slot(), 1, 0};
  const ZkHandleReady ready = zk_open(options_.servers, static_cast<int>(to_ms(options_.session_timeout)),
                                      options_.auth.credentials, context, false);
  if (ready.handle == nullptr) return Error{ready.error};
  handle_ = ready.handle;
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (zoo_state(handle_) != ZOO_CONNECTED_STATE) {
    if (std::chrono::steady_clock::now() >= until)
      return Error{fmt::format("no connection within {} s", to_ms(kPatience) / 1000)};
    std::this_thread::sleep_for(kPause);
  }
  return std::nullopt;
}

int ZkSession::insist(const std::function<int(zhandle_t*)>& call) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    const int code = call(handle_);
    if (is_certain(code) || std::chrono::steady_clock::now() >= until) return code;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace kvd
