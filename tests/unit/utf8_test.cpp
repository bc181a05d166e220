// What is UTF-8, and what comes close.
// Standalone: no sockets, no node.
#include "base/utf8.hpp"

#include <doctest.h>

#include <string>

using namespace kvd;

TEST_CASE("UTF-8: well-formed sequences only") {
  for (const char* good : {"", "plain", "\x7f", "é", "€", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    CAPTURE(good);
    CHECK(is_utf8(good));
  }
  CHECK(is_utf8(std::string_view("a\0b", 3)));
  // Cut short, a tail alone, overlong, a surrogate, beyond the last code point, Latin-1.
  for (const char* bad : {"\xc3", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "caf\xe9"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_utf8(bad));
    CHECK_FALSE(is_utf8(std::string(64, 'a') + bad));
  }
}
