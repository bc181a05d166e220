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

// The same for what is mostly not there.
template <class T>
class OptionalBox {
 public:
  OptionalBox() = default;
  explicit(false) OptionalBox(T content) : content_(std::make_unique<T>(std::move(content))) {}
  OptionalBox(const OptionalBox& other) : content_(other ? std::make_unique<T>(*other) : nullptr) {}
  OptionalBox(OptionalBox&&) noexcept = default;
  OptionalBox& operator=(const OptionalBox& other) { return *this = OptionalBox(other); }
  OptionalBox& operator=(OptionalBox&&) noexcept = default;

  explicit operator bool() const { return content_ != nullptr; }
  T& operator*() { return *content_; }
  const T& operator*() const { return *content_; }
  T* operator->() { return content_.get(); }
  const T* operator->() const { return content_.get(); }
  T& emplace() { return *(content_ = std::make_unique<T>()); }
  bool operator==(const OptionalBox& other) const {
    return content_ && other.content_ ? *content_ == *other.content_ : content_ == other.content_;
  }

 private:
  std::unique_ptr<T> content_;
};

}  // namespace kvd
