// The writing client of the tests with real processes: see the header. A write that was not acknowledged is
// not repeated: whether it was applied is unknown, and the next one has another key.
#include "cluster/writer.hpp"

#include <fmt/format.h>

#include "rig/http_client.hpp"

namespace kvd::testing {
namespace {

// Few enough for the keys to be read back on every server within seconds.
constexpr Duration kPace = milliseconds(5);
// After no answer a server is left alone for so many writes, as a client would: a frozen one costs its whole
// timeout.
constexpr uint64_t kLeftAlone = 50;

}  // namespace

Writer::Writer(std::vector<Address> servers) : servers_(std::move(servers)), thread_([this] { run(); }) {}

Writer::~Writer() { stop(); }

size_t Writer::acknowledged() const {
  const std::lock_guard lock(mutex_);
  return acknowledged_.size();
}

std::map<std::string, std::string> Writer::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  return acknowledged_;
}

void Writer::run() {
  std::vector<uint64_t> left_alone_until(servers_.size());
  for (uint64_t i = 0; !stopping_; ++i) {
    const size_t turn = i % servers_.size();
    if (i < left_alone_until[turn]) continue;
    const std::string key = fmt::format("load-{:08}", i);
    const std::string value = fmt::format("value of {}", key);
    const HttpAnswer answer =
        http_request(servers_[turn], "PUT", fmt::format("/v1/kv/{}?timeout=1000", key), value, seconds(2));
    if (answer.status == 0) left_alone_until[turn] = i + kLeftAlone;
    if (answer.status == 200 || answer.status == 201) {
      const std::lock_guard lock(mutex_);
      acknowledged_[key] = value;
    }
    std::this_thread::sleep_for(kPace);
  }
}

}  // namespace kvd::testing
