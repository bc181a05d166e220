// Which requests may come from a web page that has no business here: by the name they use (DNS rebinding), and by what
// browsers tell of the page (cross-site requests). Standalone.
#include "shell/http/http_browser.hpp"

#include <doctest.h>

#include <vector>

#include "made_request.hpp"
#include "shell/http/http_api.hpp"

using namespace kvd;

namespace {

using Fields = kvd::testing::HttpFieldList;

HttpRequest request(HttpMethod method, const Fields& fields) {
  return kvd::testing::made_request(method, "/v1/kv/a", fields);
}

// 0: it is taken.
int status(HttpMethod method, const Fields& fields, std::string_view authority = {},
           AllowedHosts allowed = {}) {
  auto refusal = browser_refusal(request(method, fields), authority, allowed);
  return refusal ? refusal->status : 0;
}
int get(const Fields& fields) { return status(HttpMethod::kGet, fields); }

}  // namespace

TEST_CASE("browser: a name that anybody could let resolve to this server is not believed") {
  for (const char* host : {"127.0.0.1", "127.0.0.1:8001", "10.1.2.3", "[::1]", "[2001:db8::1]:8001",
                           "localhost", "localhost:8001", "kvd1", "kvd1:8001"}) {
    CAPTURE(host);
    CHECK(get({{"Host", host}}) == 0);
  }
  for (const char* host : {"evil.test", "evil.test:8001", "127.0.0.1.evil.test", "1.a", "localhost.evil.test",
                           "evil.", "a.b1", "127.0.0.1."}) {
    CAPTURE(host);
    for (HttpMethod method : {HttpMethod::kGet, HttpMethod::kPut, HttpMethod::kPost, HttpMethod::kOptions})
      CHECK(status(method, {{"Host", host}}) == 421);
    CHECK(status(HttpMethod::kGet, {{"Host", host}}, {}, {{}, true}) == 0);
  }
  CHECK(get({}) == 0);  // HTTP/1.0
  const AllowedHosts allowed{{"10.0.0.1", "kvd.example.com"}, false};
  CHECK(status(HttpMethod::kGet, {{"Host", "KVD.example.com:80"}}, {}, allowed) == 0);
  CHECK(status(HttpMethod::kGet, {{"Host", "a.kvd.example.com"}}, {}, allowed) == 421);
  // An absolute target's own is the one that counts (RFC 9112, 3.2.2).
  CHECK(status(HttpMethod::kGet, {{"Host", "x"}}, "evil.test") == 421);
  CHECK(status(HttpMethod::kGet, {{"Host", "evil.test"}}, "x:80") == 0);
  auto refusal = browser_refusal(request(HttpMethod::kGet, {{"Host", "evil.test:8001"}}), {}, {});
  CHECK(refusal->detail.find("--allow-host evil.test if") != std::string::npos);
}

TEST_CASE("browser: a page of another origin neither writes nor reads") {
  struct Case {
    Fields fields;
    int of_get;
    int of_post;
  };
  const Case cases[] = {
      {{{"Sec-Fetch-Site", "cross-site"}}, 403, 403},
      {{{"Sec-Fetch-Site", "same-site"}}, 403, 403},
      {{{"Sec-Fetch-Site", "same-origin"}}, 0, 0},
      {{{"Sec-Fetch-Site", "none"}}, 0, 0},  // typed into the address bar
      {{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "no-cors"}}, 403, 403},
      {{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}}, 0, 403},  // a link; a form
      {{{"Origin", "http://evil.test"}}, 403, 403},
      {{{"Origin", "null"}}, 403, 403},
      {{{"Origin", "http://x:8002"}}, 403, 403},
      {{{"Origin", "http://x:8001"}}, 0, 0},
      {{{"Origin", "HTTP://X:8001"}}, 0, 0},
      {{{"Origin", "http://x:8001"}, {"Sec-Fetch-Site", "cross-site"}}, 403, 403},
      {{{"Origin", "https://x:8001"}}, 0, 0},  // a proxy that speaks TLS is in front
      {{}, 0, 0},                              // no browser
  };
  for (Case c : cases) {
    c.fields.emplace_back("Host", "x:8001");
    CAPTURE(c.fields[0].first);
    CAPTURE(c.fields[0].second);
    CHECK(status(HttpMethod::kGet, c.fields) == c.of_get);
    CHECK(status(HttpMethod::kPost, c.fields) == c.of_post);
    CHECK(status(HttpMethod::kHead, c.fields) == c.of_post);
    CHECK(status(HttpMethod::kDelete, c.fields) == c.of_post);
    CHECK(status(HttpMethod::kOptions, c.fields) == c.of_post);  // what asks for leave gets none
  }
}

TEST_CASE("browser: every path is judged before anything else is, and a refused write was not applied") {
  HttpIdentity identity;
  identity.hosts.names = {"10.0.0.1"};
  for (const char* target : {"/v1/kv/a", "/v1/kv", "/v1/tasks", "/v1/cluster/leader", "/v1/snapshot",
                             "/metrics", "/livez", "/nowhere"}) {
    for (HttpMethod method : {HttpMethod::kGet, HttpMethod::kPost}) {
      for (const Fields& fields :
           {Fields{{"Host", "evil.test"}}, Fields{{"Host", "x"}, {"Origin", "http://y"}}}) {
        CAPTURE(target);
        HttpRequest asked = request(method, fields);
        asked.target = target;
        AcceptedHead accepted;
        auto refusal = accept_head(asked, identity, accepted);
        REQUIRE(refusal);
        CHECK(refusal->status == (fields.size() == 1 ? 421 : 403));
        const bool told = refusal->body.find("\"outcome\":\"not-applied\"") != std::string::npos;
        CHECK(told == (method == HttpMethod::kPost));
      }
    }
  }
}
