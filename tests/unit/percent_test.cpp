// Percent-encoding in both directions, and what is none.
// Standalone: no sockets, no node.
#include "base/percent.hpp"

#include <doctest.h>

using namespace kvd;

TEST_CASE("percent-encoding: decoded once, plus is plus, nothing is normalised") {
  CHECK(percent_decode("a%2Fb%00c%25%32+..//") == std::string("a/b\0c%2+..//", 12));
  CHECK(percent_encode(std::string_view("a/b\0~é", 7)) == "a%2Fb%00~%C3%A9");
  CHECK(percent_encode_path("a b/c%d//é/") == "a%20b/c%25d//%C3%A9/");
  CHECK(percent_encode_path("").empty());
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  CHECK(percent_decode(percent_encode(all)) == all);
  CHECK(is_percent_encoded("%00%fF%25"));
  for (const char* bad : {"%", "a%", "%4", "%4g", "%g4", "%%41", "%41%"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_percent_encoded(bad));
  }
}
