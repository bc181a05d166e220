// The bytes of requests for one server: everything that does not change is made once, so that a request costs a few
// copies into the connection's output. Keys are a prefix and their number, padded to one length.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace kvd::load {

enum class Kind : uint8_t { kGet, kPut, kDelete, kLinear };
inline constexpr size_t kKinds = 4;
const char* kind_name(Kind kind);  // "get", ...
constexpr bool is_write(Kind kind) { return kind == Kind::kPut || kind == Kind::kDelete; }

struct KeyShape {
  std::string prefix = "kvload-";  // of characters that need no escape in a path
  size_t bytes = 16;               // of the whole key
};

class RequestText {
 public:
  // `fields` as every request has them, each with its CRLF. `values` is what values are cut from, and outlives this.
  RequestText(KeyShape shape, std::string_view fields, const std::string& values);

  void append(Kind kind, uint64_t key, size_t value_bytes, std::string& out) const;

 private:
  void append_key(uint64_t key, std::string& out) const;

  KeyShape shape_;
  const std::string& values_;
  std::string tail_;  // after the target, with the empty line
  std::string put_tail_;
};

// Printable noise, the same in every run.
std::string value_bytes(size_t bytes);

}  // namespace kvd::load
