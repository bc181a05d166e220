// A first-in first-out queue with a stated bound: a full queue refuses,
// so that its owner has to decide what happens. One thread only.
#pragma once
#include <cstddef>
#include <utility>

#include "base/ring.hpp"

namespace kvd {

template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  template <class Item>
  [[nodiscard]] bool push(Item&& item) {
    if (items_.size() >= capacity_) return false;
    items_.emplace_back(std::forward<Item>(item));
    return true;
  }
  T pop() {
    T item = std::move(items_.front());
    items_.pop_front();
    return item;
  }
  bool empty() const { return items_.empty(); }
  size_t size() const { return items_.size(); }

 private:
  size_t capacity_;
  Ring<T> items_;
};

}  // namespace kvd
