// See request_text.hpp.
#include "kvload/request_text.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/prng.hpp"

namespace kvd::load {

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kGet:
      return "get";
    case Kind::kPut:
      return "put";
    case Kind::kDelete:
      return "delete";
    case Kind::kLinear:
      return "linear";
  }
  return "";
}

RequestText::RequestText(KeyShape shape, std::string_view fields, const std::string& values)
    : shape_(std::move(shape)),
      values_(values),
      tail_(fmt::format(" HTTP/1.1\r\n{}\r\n", fields)),
      put_tail_(fmt::format(" HTTP/1.1\r\n{}Content-Length: ", fields)) {}

void RequestText::append_key(uint64_t key, std::string& out) const {
  char digits[20];
  const auto size = static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, key).ptr - digits);
  out += shape_.prefix;
  const size_t used = shape_.prefix.size() + size;
  if (used < shape_.bytes) out.append(shape_.bytes - used, '0');
  out.append(digits, size);
}

void RequestText::append(Kind kind, uint64_t key, size_t value_bytes, std::string& out) const {
  switch (kind) {
    case Kind::kGet:
      out += "GET /v1/kv/";
      append_key(key, out);
      out += tail_;
      return;
    case Kind::kLinear:
      out += "GET /v1/kv/";
      append_key(key, out);
      out += "?read=linear";
      out += tail_;
      return;
    case Kind::kDelete:
      out += "DELETE /v1/kv/";
      append_key(key, out);
      out += tail_;
      return;
    case Kind::kPut: {
      out += "PUT /v1/kv/";
      append_key(key, out);
      out += put_tail_;
      char digits[20];
      out.append(digits, std::to_chars(digits, digits + sizeof digits, value_bytes).ptr);
      out += "\r\n\r\n";
      out.append(values_, 0, value_bytes);
      return;
    }
  }
}

std::string value_bytes(size_t bytes) {
  Prng random(1);
  std::string text(bytes, ' ');
  for (char& c : text) c = static_cast<char>('!' + random.below('~' - '!' + 1));
  return text;
}

}  // namespace kvd::load
