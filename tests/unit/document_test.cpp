// Documents: how they are built and read, and the one line of JSON that shows them. (How they travel between servers:
// wire_test.cpp.)
#include "msg/document.hpp"

#include <doctest.h>

namespace kvd::document_test {

TEST_CASE("document: members in their order as JSON") {
  CHECK(to_json(Document()) == "{}");
  const Document flat =
      Document().add("b", "x\"y").add("a", 7).add("c", true).add("d", Value()).add("e", false);
  CHECK(to_json(flat) == R"({"b":"x\"y","a":7,"c":true,"d":null,"e":false})");
  const Document ends = Document().add("least", INT64_MIN).add("most", UINT64_MAX);
  CHECK(to_json(ends) == R"({"least":-9223372036854775808,"most":18446744073709551615})");
  const Document deep =
      Document()
          .add("list", ValueList{1, "a", Value(), Document().add("b", ValueList{}), ValueList{2, 3}})
          .add("document", Document().add("c", Document()))
          .add("more", true);
  CHECK(to_json(deep) == R"({"list":[1,"a",null,{"b":[]},[2,3]],"document":{"c":{}},"more":true})");
}

TEST_CASE("document: octets are a text where they are UTF-8, and what a client stored stays as it was") {
  CHECK(to_json(Document().add("a", Octets{"\xc3\xa9"}).add("b", 1)) == "{\"a\":\"\xc3\xa9\",\"b\":1}");
  CHECK(to_json(Document().add("a", Octets{"\xff"}).add("b", 1)) == R"({"a_b64":"/w==","b":1})");
  CHECK(to_json(Document().add("a", ValueList{Octets{"a"}, Octets{"\xff"}})) == R"({"a":["YQ==","/w=="]})");
  CHECK(to_json(Document().add("a", StoredJson{R"({"x": 1e2})"}).add("b", 1)) == R"({"a":{"x": 1e2},"b":1})");
}

TEST_CASE("document: a value is found by its name and read as what it is") {
  const Document document = Document()
                                .add("number", -3)
                                .add("large", UINT64_MAX)
                                .add("text", "a")
                                .add("octets", Octets{"\xff"})
                                .add("list", ValueList{1, 2})
                                .add("document", Document().add("n", 4u));
  CHECK(document.find("none") == nullptr);
  CHECK(document.number("number") == -3);
  CHECK(document.text("text") == "a");
  CHECK(document.text("octets") == "\xff");
  CHECK_FALSE(document.number("large"));  // beyond what fits
  CHECK_FALSE(document.number("text"));
  CHECK_FALSE(document.number("none"));
  CHECK_FALSE(document.text("number"));
  CHECK_FALSE(document.text("none"));
  REQUIRE(document.find("list")->list() != nullptr);
  CHECK(document.find("list")->list()->at(1).number() == 2);
  CHECK(document.find("list")->document() == nullptr);
  REQUIRE(document.find("document")->document() != nullptr);
  CHECK(document.find("document")->document()->number("n") == 4);
  CHECK(document.find("document")->list() == nullptr);
}

TEST_CASE("document: a list is shared, not copied") {
  const auto list = std::make_shared<const ValueList>(ValueList{"a", "b"});
  const Document one = Document().add("list", list);
  const Document other = one;
  CHECK(other.find("list")->list() == list.get());
  CHECK(to_json(other) == R"({"list":["a","b"]})");
}

}  // namespace kvd::document_test
