// Base64 against the test vectors of RFC 4648, section 10, and against what must be refused.
// Standalone: no sockets, no node.
#include "base/base64.hpp"

#include <doctest.h>

#include <utility>

using namespace kvd;

TEST_CASE("base64: the vectors of RFC 4648 in both directions") {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(base64_encode(bytes) == text);
    CHECK(base64_decode(text) == bytes);
  }
}

TEST_CASE("base64: every byte survives") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (size_t cut = 0; cut < 3; ++cut) {
    std::string bytes = all.substr(cut);
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
  }
  CHECK(base64_encode("\xff\xef\xbe") == "/+++");
}

TEST_CASE("base64: anything else is refused") {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n", "Zm 9", "Zm-_", "=Zm9"}) {
    CAPTURE(text);
    CHECK_FALSE(base64_decode(text).has_value());
  }
}
