// Items that lie in a row and are appended one by one, like a std::vector's, for items that are large variants.
// Whatever moves or destroys all of them stands out of line, so that `extern template` leaves it to one file: a
// vector's emplace_back compiles it anew for every kind of item, in every file that appends. One thread only.
#pragma once
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace kvd {

template <class T>
class AppendBuffer {
 public:
  AppendBuffer() = default;
  ~AppendBuffer();
  AppendBuffer(AppendBuffer&& other) noexcept { swap(other); }
  AppendBuffer& operator=(AppendBuffer&& other) noexcept {
    AppendBuffer taken(std::move(other));
    swap(taken);
    return *this;
  }

  // An item made of `parts`, none of which is one of those in here. The reference holds until the next one.
  template <class... Parts>
  T& append(Parts&&... parts) {
    if (size_ == capacity_) grow();
    return *new (items_ + size_++) T(std::forward<Parts>(parts)...);
  }
  // Keeps the first `size` items, and the memory.
  void truncate(size_t size);
  void clear() { truncate(0); }
  void swap(AppendBuffer& other) noexcept {
    std::swap(items_, other.items_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  T& operator[](size_t i) { return items_[i]; }
  T* begin() { return items_; }
  T* end() { return items_ + size_; }

 private:
  void grow();

  T* items_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

template <class T>
AppendBuffer<T>::~AppendBuffer() {
  truncate(0);
  if (items_ != nullptr) std::allocator<T>().deallocate(items_, capacity_);
}

template <class T>
void AppendBuffer<T>::truncate(size_t size) {
  while (size_ > size) std::destroy_at(items_ + --size_);
}

template <class T>
void AppendBuffer<T>::grow() {
  const size_t capacity = capacity_ == 0 ? 1 : 2 * capacity_;
  T* items = std::allocator<T>().allocate(capacity);
  for (size_t i = 0; i < size_; ++i) {
    new (items + i) T(std::move(items_[i]));
    std::destroy_at(items_ + i);
  }
  if (items_ != nullptr) std::allocator<T>().deallocate(items_, capacity_);
  items_ = items;
  capacity_ = capacity;
}

}  // namespace kvd
