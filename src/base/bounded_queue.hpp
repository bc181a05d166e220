// A first-in first-out queue with a stated bound: a full queue refuses, so that its owner has to decide what happens.
// The places are reused: a queue that has had its usual length allocates no more. One thread only.
#pragma once
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace kvd {

template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  template <class Item>
  [[nodiscard]] bool push(Item&& item) {
    if (size_ >= capacity_) return false;
    if (size_ == places_.size()) grow();
    places_[(first_ + size_) & (places_.size() - 1)].emplace(std::forward<Item>(item));
    ++size_;
    return true;
  }
  T pop() {
    std::optional<T>& place = places_[first_];
    T item = std::move(*place);
    place.reset();
    first_ = (first_ + 1) & (places_.size() - 1);
    if (--size_ == 0 && places_.size() > kKeptPlaces) {  // a burst is over
      places_ = {};
      first_ = 0;
    }
    return item;
  }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kKeptPlaces = 4096;

  void grow() {
    std::vector<std::optional<T>> more(places_.empty() ? 16 : 2 * places_.size());  // a power of two
    for (size_t i = 0; i < size_; ++i) more[i] = std::move(places_[(first_ + i) & (places_.size() - 1)]);
    places_ = std::move(more);
    first_ = 0;
  }

  size_t capacity_;
  std::vector<std::optional<T>> places_;
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace kvd
