// The small grammars of a request: query strings, entity tags.
// Standalone: no sockets, no node.
#include "shell/http/http_text.hpp"

#include <doctest.h>

using namespace kvd;

namespace {

constexpr uint64_t kAll = 255 | kQueryFence;

std::string query_error(std::string_view text, uint64_t allowed = kAll) {
  Result<Query> query = parse_query(text, allowed);
  return query ? "" : query.error().detail;
}

EntityTags tags_of(std::string_view field, bool weak_counts) {
  EntityTags tags;
  CHECK(parse_entity_tags(field, weak_counts, tags));
  return tags;
}

}  // namespace

TEST_CASE("numbers: the whole text, no sign, in range") {
  CHECK(parse_number("18446744073709551615") == UINT64_MAX);
  for (const char* bad : {"", "-1", "+1", "1 ", " 1", "0x1", "18446744073709551616", "1.0"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_number(bad).has_value());
  }
}

TEST_CASE("query: values and defaults") {
  Result<Query> query = parse_query(
      "read=linear&min_rev=7&timeout=1&&prefix=a%26b&limit=10000&after=%00&keys=true&verbose", kAll);
  REQUIRE(query.has_value());
  CHECK(query->read == ReadMode::kLinear);
  CHECK(query->min_revision == Revision(7));
  CHECK(query->timeout == milliseconds(1));
  CHECK(query->prefix == "a&b");
  CHECK(query->limit == 10000);
  CHECK(query->after == std::string(1, '\0'));
  CHECK(query->keys_only);
  CHECK(query->verbose);
  Result<Query> empty = parse_query("", kAll);
  REQUIRE(empty.has_value());
  CHECK(empty->read == ReadMode::kLocal);
  CHECK(empty->timeout == seconds(5));
  CHECK(empty->limit == 0);
  Result<Query> off = parse_query("keys=false&verbose=0", kAll);
  REQUIRE(off.has_value());
  CHECK_FALSE(off->keys_only);
  CHECK_FALSE(off->verbose);
}

TEST_CASE("query: the token of a fence is behind the last colon") {
  const std::pair<const char*, Fence> cases[] = {
      {"a:1", {"a", 1}},
      {"locks/a%3A8001:12", {"locks/a:8001", 12}},
      {"a:b:9223372036854775807", {"a:b", 9223372036854775807}},
      {":::3", {"::", 3}},
      {"%00%ff%3a7", {std::string("\0\xff", 2), 7}},
  };
  for (const auto& one : cases) {
    const char* text = one.first;
    const Fence& fence = one.second;
    CAPTURE(text);
    Result<Query> query = parse_query("fence=" + std::string(text), kAll);
    REQUIRE(query.has_value());
    REQUIRE(query->fence);
    CHECK(*query->fence == fence);
  }
  CHECK_FALSE(parse_query("", kAll)->fence);
  CHECK(query_error("fence=" + std::string(255, 'r') + ":1").empty());
  const std::string wanted =
      "the query parameter 'fence' has to be RESOURCE:TOKEN, a resource of 1 to 255 bytes and a token from 1 "
      "to "
      "9223372036854775807";
  for (const std::string& bad :
       {std::string(""), std::string("a"), std::string("7"), std::string(":7"), std::string("a:"),
        std::string("a:0"), std::string("a:-1"), std::string("a:+1"), std::string("a:1x"),
        std::string("a:0x1"), std::string("a:1:"), std::string("a:9223372036854775808"),
        std::string(256, 'r') + ":1"}) {
    CAPTURE(bad);
    CHECK(query_error("fence=" + bad) == wanted);
  }
}

TEST_CASE("query: a term is a time, kept, or a lease's") {
  CHECK_FALSE(parse_query("", kAll)->term);
  CHECK(*parse_query("ttl=100", kQueryTtl)->term == Term{Term::Kind::kTime, 100});
  CHECK(*parse_query("ttl=315360000000", kQueryTtl)->term == Term{Term::Kind::kTime, 315'360'000'000});
  CHECK(*parse_query("ttl=keep", kQueryTtl)->term == Term{Term::Kind::kKeep, 0});
  CHECK(*parse_query("lease=7", kQueryLease)->term == Term{Term::Kind::kLease, 7});
  CHECK(*parse_query("touch=100", kQueryTouch)->touch == 100);
  const std::string bounds = "keep, or 100 to 315360000000 milliseconds";
  for (const char* bad : {"ttl=", "ttl=99", "ttl=315360000001", "ttl=5s", "ttl=-1", "ttl=Keep"}) {
    CAPTURE(bad);
    CHECK(query_error(bad, kQueryTtl) == "the query parameter 'ttl' has to be " + bounds);
  }
  for (const char* bad : {"lease=", "lease=x", "lease=-1"})
    CHECK(query_error(bad, kQueryLease) == "the query parameter 'lease' has to be the id of a lease");
  for (const char* bad : {"touch=99", "touch=keep"})
    CHECK(query_error(bad, kQueryTouch).find("'touch' has to be 100 to") != std::string::npos);
  const uint32_t both = kQueryTtl | kQueryLease;
  CHECK(query_error("ttl=500&lease=7", both).find("'lease' has to be given without 'ttl'") !=
        std::string::npos);
  CHECK(query_error("lease=7&ttl=500", both).find("'ttl' has to be given without 'lease'") !=
        std::string::npos);
}

TEST_CASE("query: of a lease that is granted, and of a page of leases") {
  CHECK(parse_query("ttl=1000", kQueryLeaseTtl)->lease_ttl == 1000);
  CHECK(parse_query("ttl=2592000000", kQueryLeaseTtl)->lease_ttl == 2'592'000'000);
  for (const char* bad : {"ttl=999", "ttl=2592000001", "ttl=keep", "ttl="})
    CHECK(query_error(bad, kQueryLeaseTtl).find("'ttl' has to be 1000 to 2592000000 milliseconds") !=
          std::string::npos);
  CHECK(parse_query("name=" + std::string(255, 'n'), kQueryName)->name.size() == 255);
  CHECK(query_error("name=" + std::string(256, 'n'), kQueryName).find("255 bytes at most") !=
        std::string::npos);
  CHECK(parse_query("after=9", kQueryAfterLease)->after_lease == 9);
  CHECK(query_error("after=x", kQueryAfterLease).find("'after' has to be the id of a lease") !=
        std::string::npos);
}

TEST_CASE("query: what is refused is named") {
  CHECK(query_error("x=1").find("'x' is unknown") != std::string::npos);
  CHECK(query_error("limit=5", kQueryTimeout).find("'limit' is unknown") != std::string::npos);
  CHECK(query_error("read=local&read=local").find("'read' is given twice") != std::string::npos);
  CHECK(query_error("=1").find("'' is unknown") != std::string::npos);
  for (const char* bad :
       {"read=foo", "read", "min_rev=x", "min_rev=", "timeout=0", "timeout=-1", "timeout=600001",
        "timeout=5s", "limit=abc", "limit=0", "limit=10001", "keys=yes", "verbose=maybe"}) {
    CAPTURE(bad);
    std::string name = std::string(bad).substr(0, std::string(bad).find('='));
    CHECK(query_error(bad).find("'" + name + "' has to be") != std::string::npos);
  }
  CHECK(query_error("prefix=" + std::string(1024, 'x')).empty());
  CHECK(query_error("prefix=" + std::string(1025, 'x')).find("'prefix'") != std::string::npos);
}

TEST_CASE("entity tags: lists, weak ones, foreign ones") {
  CHECK(tags_of("*", false).any);
  CHECK(tags_of(" \"5\" , \"7\"", false).revisions == std::vector<Revision>{Revision(5), Revision(7)});
  CHECK(tags_of("W/\"5\"", true).revisions == std::vector<Revision>{Revision(5)});
  CHECK(tags_of("W/\"5\"", false).revisions.empty());  // RFC 9110, 13.1.1: If-Match compares strongly
  CHECK(tags_of("\"abc\",\"05\",\"0\",\"\",\"a,b\"", false).revisions.empty());
  CHECK(tags_of("\"5\",,\"6\",", false).revisions == std::vector<Revision>{Revision(5), Revision(6)});
  EntityTags tags;
  for (const char* bad : {"", "5", "\"5", "5\"", "\"5\" \"6\"", "w/\"5\"", "\"5\", x", ","}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_entity_tags(bad, true, tags));
  }
}
