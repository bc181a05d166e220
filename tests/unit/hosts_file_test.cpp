// The block of kvd in a hosts file: where it goes, what stays, and which texts are refused.
// Standalone: no files, no sockets.
#include "client/hosts_file.hpp"

#include <doctest.h>

using namespace kvd;
using namespace kvd::client;

namespace {

const std::string kBlock = "10.0.0.1 db.example\n10.0.0.2 web.example\n";
const std::string kMarked = "# BEGIN kvd a\n" + kBlock + "# END kvd a\n";

std::string edited(std::string_view text, std::string_view block = kBlock) {
  const Result<std::string> out = edit_hosts_file(text, "a", block);
  REQUIRE_MESSAGE(out.has_value(), out.error().detail);
  return *out;
}

std::string complaint(std::string_view text, std::string_view block = kBlock) {
  const Result<std::string> out = edit_hosts_file(text, "a", block);
  REQUIRE_FALSE(out.has_value());
  return out.error().detail;
}

}  // namespace

TEST_CASE("a hosts file without a block gets one at its end") {
  CHECK(edited("") == kMarked);
  CHECK(edited("127.0.0.1 localhost\n") == "127.0.0.1 localhost\n" + kMarked);
}

TEST_CASE("a last line without its end gets one and nothing else changes") {
  CHECK(edited("127.0.0.1 localhost") == "127.0.0.1 localhost\n" + kMarked);
  CHECK(edited("", "10.0.0.1 db") == "# BEGIN kvd a\n10.0.0.1 db\n# END kvd a\n");
}

TEST_CASE("foreign lines stay byte for byte on both sides of the block") {
  const std::string before = "\xff\xfe odd\t bytes \r\n\n# BEGIN kvd b\n10.0.0.1 db.example\n# END kvd b\n";
  const std::string after = "  # BEGIN kvd a of something else\n10.0.0.2 web.example\nno end";
  const std::string old = before + "# BEGIN kvd a\nold\n# END kvd a\n" + after;
  CHECK(edited(old) == before + kMarked + after);
  CHECK(edited(edited(old)) == edited(old));
}

TEST_CASE("an empty block and a block at the end without a line end") {
  CHECK(edited("x\n# BEGIN kvd a\nold\n# END kvd a", "") == "x\n# BEGIN kvd a\n# END kvd a\n");
}

TEST_CASE("blanks behind a marker do not hide it") {
  CHECK(edited("# BEGIN kvd a \t\r\nold\n# END kvd a\r\n") == kMarked);
}

TEST_CASE("damaged markers are refused") {
  CHECK(complaint("# BEGIN kvd a\nx\n") == "there is '# BEGIN kvd a' without '# END kvd a'");
  CHECK(complaint("x\n# END kvd a\n") == "there is '# END kvd a' without '# BEGIN kvd a'");
  CHECK(complaint("# END kvd a\n# BEGIN kvd a\n") == "'# END kvd a' stands before '# BEGIN kvd a'");
  CHECK(complaint(kMarked + kMarked) == "there is more than one line '# BEGIN kvd a'");
  CHECK(complaint("# BEGIN kvd a\n# END kvd a\n# END kvd a\n") ==
        "there is more than one line '# END kvd a'");
}

TEST_CASE("a block that would damage the file is refused") {
  CHECK(complaint("", "x\n# END kvd a\n").find("marker") != std::string::npos);
  CHECK(complaint("", "# BEGIN kvd b\n").find("marker") != std::string::npos);
  CHECK(complaint("", std::string_view("x\0y\n", 4)).find("NUL") != std::string::npos);
}

TEST_CASE("names of nodes that can stand in a marker") {
  CHECK(is_hosts_node("web-1.example"));
  CHECK(is_hosts_node(std::string(255, 'a')));
  for (const std::string& bad :
       {std::string(), std::string("a b"), std::string("a\n"), std::string("é"), std::string(256, 'a')}) {
    CAPTURE(bad);
    CHECK_FALSE(is_hosts_node(bad));
  }
}
