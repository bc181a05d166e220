// See json_writer.hpp.
#include "base/json_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/base64.hpp"
#include "base/utf8.hpp"

namespace kvd {
namespace {

constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (size_t c = 0x20; c < plain.size(); ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

constexpr char kHexDigits[] = "0123456789abcdef";

bool is_plain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

void append_escape(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      out.append("\\u00").append({kHexDigits[c >> 4 & 15], kHexDigits[c & 15]});
  }
}

}  // namespace

JsonWriter& JsonWriter::bytes_member(std::string_view name, std::string_view bytes) {
  if (is_utf8(bytes)) return member(name, bytes);
  return key(std::string(name) + "_b64").value(std::string_view(base64_encode(bytes)));
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (auto at = text.begin(); at != text.end();) {
    auto end = std::find_if_not(at, text.end(), is_plain);
    out.append(at, end);
    at = end;
    for (; at != text.end() && !is_plain(*at); ++at) append_escape(out, *at);
  }
  out += '"';
  return out;
}

char* JsonWriter::room(size_t bytes) {
  if (text_.size() < used_ + bytes) text_.resize(std::max(2 * text_.size(), used_ + bytes));
  return text_.data() + used_;
}

void JsonWriter::add(std::string_view text) {
  std::copy(text.begin(), text.end(), room(text.size()));
  used_ += text.size();
}

void JsonWriter::add(char c) {
  *room(1) = c;
  ++used_;
}

void JsonWriter::add_quoted(std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), is_plain)) return add(std::string_view(json_quoted(text)));
  char* at = room(text.size() + 2);
  *at = '"';
  *std::copy(text.begin(), text.end(), at + 1) = '"';
  used_ += text.size() + 2;
}

std::string JsonWriter::take() {
  text_.resize(std::exchange(used_, 0));
  return std::exchange(text_, {});
}

void JsonWriter::separate() {
  if (used_ == 0) return;
  const char last = text_[used_ - 1];
  if (last != '{' && last != '[' && last != ':') add(',');
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  add(json);
  return *this;
}

JsonWriter& JsonWriter::begin_object() { return raw("{"); }
JsonWriter& JsonWriter::begin_array() { return raw("["); }

JsonWriter& JsonWriter::end_object() {
  add('}');
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  add(']');
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  value(name);
  add(':');
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  add_quoted(text);
  return *this;
}

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  return raw(fmt::format("{}", number));
}

JsonWriter& JsonWriter::value(bool flag) { return raw(flag ? "true" : "false"); }

}  // namespace kvd
