// See http_lines.hpp.
#include "shell/http/http_lines.hpp"

namespace kvd {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

// Two searches, which are faster than a look at each byte: every head passes here.
void HttpLines::add(std::string_view bytes) {
  if (bytes.empty()) return;
  bare_cr_ |= last_ == '\r' && bytes.front() != '\n';
  folded_ |= last_ == '\n' && is_blank(bytes.front());
  for (size_t at = bytes.find('\n'); at < bytes.size(); at = bytes.find('\n', at + 1)) {
    bare_lf_ |= (at == 0 ? last_ : bytes[at - 1]) != '\r';
    folded_ |= at + 1 < bytes.size() && is_blank(bytes[at + 1]);
  }
  for (size_t at = bytes.find('\r'); at < bytes.size(); at = bytes.find('\r', at + 1))
    bare_cr_ |= at + 1 < bytes.size() && bytes[at + 1] != '\n';
  last_ = bytes.back();
}

}  // namespace kvd
