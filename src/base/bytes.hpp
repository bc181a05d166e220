// Immutable bytes with shared ownership: a value travels from socket to log to store to socket and is copied
// once, when it is read from the wire. Thread-safe to share, since nobody can change them.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace kvd {

class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(std::string content) : content_(std::make_shared<const std::string>(std::move(content))) {}

  std::string_view view() const { return content_ ? std::string_view(*content_) : std::string_view(); }
  size_t size() const { return content_ ? content_->size() : 0; }
  bool operator==(const Bytes& other) const { return view() == other.view(); }

 private:
  std::shared_ptr<const std::string> content_;  // null: empty
};

}  // namespace kvd
