// A value that is kept on the heap, so that a variant which seldom holds it stays small. Copies are deep; one that was
// moved from may only be assigned to or destroyed.
#pragma once
#include <memory>
#include <utility>

namespace kvd {

template <class T>
class Box {
 public:
  Box() : content_(std::make_unique<T>()) {}
  explicit(false) Box(T content) : content_(std::make_unique<T>(std::move(content))) {}
  Box(const Box& other) : content_(std::make_unique<T>(*other)) {}
  Box(Box&&) noexcept = default;
  Box& operator=(const Box& other) {
    content_ = std::make_unique<T>(*other);
    return *this;
  }
  Box& operator=(Box&&) noexcept = default;

  T& operator*() { return *content_; }
  const T& operator*() const { return *content_; }
  T* operator->() { return content_.get(); }
  const T* operator->() const { return content_.get(); }

 private:
  std::unique_ptr<T> content_;  // null only when moved from
};

}  // namespace kvd
