// See handshakes.hpp.
#include "net/handshakes.hpp"

#include <algorithm>

#include "net/tls_layer.hpp"

namespace kvd::net {
namespace {

constexpr uint64_t kTurnNs = 8'000'000;  // then others have their turn

}  // namespace

Handshakes::Handshakes(uv_loop_t* loop, size_t most) : most_(most), turn_(loop, [this] { on_turn(); }) {}

void Handshakes::make_room() {
  if (under_way_.size() >= most_) under_way_.front()->give_up();
}

void Handshakes::end(TlsLayer& layer) { std::erase(under_way_, &layer); }

void Handshakes::forget(TlsLayer& layer) { std::erase(waiting_, &layer); }

bool Handshakes::has_time() const { return taken_ns_ < kTurnNs && waiting_.empty(); }

void Handshakes::took(uint64_t ns) {
  if (taken_ns_ == 0) turn_.ask();
  taken_ns_ += ns;
}

void Handshakes::wait(TlsLayer& layer) {
  if (std::find(waiting_.begin(), waiting_.end(), &layer) == waiting_.end()) waiting_.push_back(&layer);
  turn_.ask();
}

void Handshakes::on_turn() {
  const auto alive = alive_;  // whose handshake goes on may destroy this
  taken_ns_ = 0;
  while (taken_ns_ < kTurnNs && !waiting_.empty()) {
    TlsLayer* layer = waiting_.front();
    waiting_.pop_front();
    layer->proceed();
    if (!*alive) return;
  }
  if (!waiting_.empty()) turn_.ask();
}

}  // namespace kvd::net
