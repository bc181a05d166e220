// A queue without a bound whose places are reused: once it has had its usual length, it allocates no more.
// One thread only.
#pragma once
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace kvd {

// Begins with kFirst places, a power of two; when it becomes empty it keeps at most kKept of them.
template <class T, size_t kFirst, size_t kKept>
class Ring {
 public:
  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == places_.size()) grow();
    return place(size_++).emplace(std::forward<Args>(args)...);
  }
  void pop_front() {
    places_[first_].reset();
    first_ = (first_ + 1) & (places_.size() - 1);
    if (--size_ == 0 && places_.size() > kKept) {  // a burst is over
      places_ = std::vector<std::optional<T>>();
      first_ = 0;
    }
  }
  T& operator[](size_t index) { return *place(index); }
  T& front() { return *places_[first_]; }
  const T& front() const { return *places_[first_]; }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

 private:
  std::optional<T>& place(size_t index) { return places_[(first_ + index) & (places_.size() - 1)]; }
  void grow() {
    std::vector<std::optional<T>> more(places_.empty() ? kFirst : 2 * places_.size());
    for (size_t i = 0; i < size_; ++i) more[i] = std::move(place(i));
    places_ = std::move(more);
    first_ = 0;
  }

  std::vector<std::optional<T>> places_;
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace kvd
