// See zk_call_window.hpp.
#include "core/zk_call_window.hpp"

#include <utility>

namespace kvd {

void ZkCallWindow::add(ZkCall&& call) { waiting_.push_back(std::move(call)); }

ZkCall ZkCallWindow::next() {
  ++under_way_;
  ZkCall call = std::move(waiting_.front());
  waiting_.pop_front();
  return call;
}

}  // namespace kvd
