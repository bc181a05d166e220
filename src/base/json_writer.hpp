// Writes JSON (RFC 8259) into a string, left to right; commas and escapes take care of themselves. Reading is
// simdjson's. A text has to be UTF-8 (base/utf8.hpp tells); other bytes are a member of their own kind.
#pragma once
#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvd {

class JsonWriter {
 public:
  JsonWriter() : text_(kUsualBytes, '\0') {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool flag);
  JsonWriter& raw(std::string_view json);  // a value that is JSON already
  JsonWriter& null() { return raw("null"); }
  JsonWriter& value(std::integral auto number) {
    separate();
    char* const at = room(kNumberBytes);
    used_ += static_cast<size_t>(std::to_chars(at, at + kNumberBytes, number).ptr - at);
    return *this;
  }
  JsonWriter& value(double number);  // null where it is no number
  template <class T>
  JsonWriter& member(std::string_view name, const T& content) {
    return key(name).value(content);
  }
  template <class All>
  JsonWriter& list_member(std::string_view name, const All& contents) {
    key(name).begin_array();
    for (const auto& content : contents) value(content);
    return end_array();
  }

  // As `name`, or as `name`_b64 when they are no plain text that JSON can hold as it is.
  JsonWriter& bytes_member(std::string_view name, std::string_view bytes);

  std::string take();  // what was written; then it begins anew

 private:
  static constexpr size_t kUsualBytes = 120;
  static constexpr size_t kNumberBytes = 20;  // of the longest integer

  char* room(size_t bytes);
  void add(std::string_view text);
  void add(char c);
  void add_quoted(std::string_view text);
  void separate();

  std::string text_;  // what is written is its first `used_` bytes: each answer is written by this
  size_t used_ = 0;
};

// `text` as a JSON string, quotes included.
std::string json_quoted(std::string_view text);

}  // namespace kvd
