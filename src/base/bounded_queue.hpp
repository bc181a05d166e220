// A first-in first-out queue with a stated bound: a full queue refuses,
// so that its owner has to decide what happens. One thread only.
#pragma once
#include <cstddef>
#include <utility>

#include "base/append_buffer.hpp"

namespace kvd {

// Items are used where they lie: front() stays valid until its pop_front(), whatever is pushed meanwhile. For that
// the queue has two halves. One is emptied while the other fills; then they change places and keep their memory.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  template <class Item>
  [[nodiscard]] bool push(Item&& item) {
    if (size() >= capacity_) return false;
    filling_.append(std::forward<Item>(item));
    return true;
  }
  T& front() {
    if (emptying_.empty()) emptying_.swap(filling_);
    return emptying_[next_];
  }
  void pop_front() {  // what front() gave
    if (++next_ < emptying_.size()) return;
    next_ = 0;
    emptying_.clear();
    if (emptying_.capacity() > kKept) emptying_ = AppendBuffer<T>();  // a burst is over
  }
  bool empty() const { return emptying_.empty() && filling_.empty(); }
  size_t size() const { return emptying_.size() - next_ + filling_.size(); }

 private:
  static constexpr size_t kKept = 4096;  // places

  size_t capacity_;
  AppendBuffer<T> emptying_;
  AppendBuffer<T> filling_;
  size_t next_ = 0;  // in emptying_; those before it are done with
};

}  // namespace kvd
