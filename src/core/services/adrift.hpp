// What ZooKeeper did not answer for, or may not do yet: it goes on a moment later, or as soon as there is a connection.
//
// A part of the actor that owns it, which names what is put off by keys of its own.
#pragma once
#include <algorithm>
#include <set>
#include <utility>

#include "core/outbox.hpp"
#include "core/services/zk_calls.hpp"

namespace kvd {

template <class Key>
class Adrift {
 public:
  explicit Adrift(const Outbox& out) : out_(out) {}

  // True: nothing was learned, and it is put off.
  bool put_off(const Key& key, ZkCode code) {
    if (!zk_silent(code)) return false;
    put_off(key, kZkRetry);
    return true;
  }
  void put_off(const Key& key, Duration pause) {
    keys_.insert(key);
    if (connected_) retry_at_ = std::min(retry_at_, out_.now + pause);
  }
  bool has(const Key& key) const { return keys_.contains(key); }
  void forget(const Key& key) { keys_.erase(key); }
  // All of them, since the time has come.
  std::set<Key> take() {
    retry_at_ = kNever;
    return std::exchange(keys_, {});
  }

  void on(const ZkSessionChanged& message) { connected_ = message.state == ZkState::kConnected; }
  bool connected() const { return connected_; }
  Instant deadline() const { return retry_at_; }

 private:
  const Outbox& out_;
  bool connected_ = false;
  std::set<Key> keys_;
  Instant retry_at_ = kNever;
};

}  // namespace kvd
