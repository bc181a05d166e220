// Watches over HTTP without sockets: the answer to each call, every line as NDJSON and as Server-Sent Events, and from
// which of them a browser is told that it may go on.
#include "shell/http/http_watch.hpp"

#include <doctest.h>

#include <optional>
#include <string>

namespace kvd::http_watch_test {

namespace {

std::string ndjson(const WatchLine& line, bool values = true) {
  ReplyPlan plan;
  plan.keys_only = !values;
  std::string body = "before\n";
  append_watch_line(body, plan, line);
  REQUIRE(body.starts_with("before\n"));
  return body.substr(7);
}

std::string server_sent(const WatchLine& line) {
  ReplyPlan plan;
  plan.events = true;
  std::string body;
  append_watch_line(body, plan, line);
  return body;
}

WatchEvent put(std::string_view key, std::string_view value, bool more = false, bool state = false) {
  return {Record(key, value, {Revision(5), Revision(7), 2}), more, state};
}
WatchEvent deletion(std::string_view key, bool expired = false) {
  return {Record::deletion(key, {Revision(5), Revision(7), 0}, expired), false, false};
}

HttpResponse render(decltype(WatchAnswer::what) what, bool events = false) {
  ReplyPlan plan;
  plan.events = events;
  return render_watch(plan, {std::move(what), Epoch(3), Revision(40)});
}

}  // namespace

TEST_CASE("watch: a change as a line") {
  CHECK(ndjson(put("a/b", "v\"w")) ==
        R"({"type":"put","key":"a/b","value":"v\"w","revision":7,"version":2,"created":5})"
        "\n");
  CHECK(ndjson(put("a", "")) == R"({"type":"put","key":"a","value":"","revision":7,"version":2,"created":5})"
                                "\n");
  CHECK(ndjson(put("a", "v"), false) == R"({"type":"put","key":"a","revision":7,"version":2,"created":5})"
                                        "\n");
  CHECK(ndjson(put("\xff", "\x80")) ==
        R"({"type":"put","key_b64":"/w==","value_b64":"gA==","revision":7,"version":2,"created":5})"
        "\n");
  CHECK(ndjson(put("a", "two\nlines")) ==
        R"({"type":"put","key":"a","value":"two\nlines","revision":7,"version":2,"created":5})"
        "\n");
  CHECK(ndjson(deletion("a")) == R"({"type":"delete","key":"a","revision":7})"
                                 "\n");
  CHECK(ndjson(deletion("a", true)) == R"({"type":"expire","key":"a","revision":7})"
                                       "\n");
  CHECK(ndjson(put("a", "v", true), false) ==
        R"({"type":"put","key":"a","revision":7,"version":2,"created":5,"more":true})"
        "\n");
  CHECK(ndjson(put("a", "v", true, true), false) ==
        R"({"type":"put","key":"a","revision":7,"version":2,"created":5,"more":true,"state":true})"
        "\n");
}

TEST_CASE("watch: every other line") {
  const std::pair<WatchLine, const char*> cases[] = {
      {WatchProgress{Revision(7), false}, R"({"type":"progress","revision":7})"},
      {WatchProgress{Revision(7), true}, R"({"type":"progress","revision":7,"linear":true})"},
      {WatchWaiting{Revision(7)}, R"({"type":"waiting","revision":7})"},
      {WatchStale{milliseconds(1500)}, R"({"type":"stale","silent_ms":1500})"},
      {WatchCurrent{Revision(7)}, R"({"type":"current","revision":7})"},
      {WatchSynced{Revision(7), true}, R"({"type":"synced","revision":7})"},
      {WatchSynced{Revision(7), false}, R"({"type":"synced","revision":7,"complete":false})"},
      {WatchReset{Revision(7), WatchBreak::kHistory}, R"({"type":"reset","revision":7,"reason":"history"})"},
      {WatchReset{Revision(7), WatchBreak::kCopy}, R"({"type":"reset","revision":7,"reason":"copy"})"},
      {WatchGone{Revision(7), Revision(4), WatchBreak::kSnapshot},
       R"({"type":"gone","revision":7,"oldest":4,"reason":"snapshot"})"},
      {WatchGone{Revision(7), Revision(4), WatchBreak::kLineage},
       R"({"type":"gone","revision":7,"oldest":4,"reason":"lineage"})"},
      {WatchGone{Revision(7), Revision(4), WatchBreak::kStopping},
       R"({"type":"gone","revision":7,"oldest":4,"reason":"stopping"})"},
  };
  for (const auto& [line, text] : cases) CHECK(ndjson(line) == text + std::string("\n"));
}

TEST_CASE("watch: an event has the id from which one may go on, and no other") {
  CHECK(server_sent(put("a", "two\nlines")) ==
        "id: 7\n"
        R"(data: {"type":"put","key":"a","value":"two\nlines","revision":7,"version":2,"created":5})"
        "\n\n");
  const auto id_of = [](const WatchLine& line) {
    const std::string event = server_sent(line);
    const size_t data = event.find("data: {");
    REQUIRE(data != std::string::npos);
    CHECK(event.ends_with("}\n\n"));
    CHECK(event.find('\n', data) == event.size() - 2);
    return event.substr(0, data);
  };
  CHECK(id_of(deletion("a")) == "id: 7\n");
  CHECK(id_of(deletion("a", true)) == "id: 7\n");
  CHECK(id_of(WatchProgress{Revision(8), false}) == "id: 8\n");
  CHECK(id_of(WatchProgress{Revision(8), true}) == "id: 8\n");
  CHECK(id_of(WatchSynced{Revision(9), false}) == "id: 9\n");
  CHECK(id_of(put("a", "v", true)).empty());
  CHECK(id_of(put("a", "v", false, true)).empty());
  CHECK(id_of(WatchWaiting{Revision(7)}).empty());
  CHECK(id_of(WatchStale{}).empty());
  CHECK(id_of(WatchCurrent{Revision(7)}).empty());
  CHECK(id_of(WatchGone{Revision(7), Revision(4), WatchBreak::kStopping}).empty());
  CHECK(id_of(WatchReset{Revision(7), WatchBreak::kHistory}) == "id\n");
}

TEST_CASE("watch: a stream's head") {
  HttpResponse response = render(WatchOpened{true});
  CHECK(response.status == 200);
  CHECK(response.streamed);
  CHECK(response.content_type == "application/x-ndjson");
  CHECK(response.fields == "Cache-Control: no-store\r\n");
  CHECK(response.body.empty());
  CHECK(response.epoch == Epoch(3));
  CHECK(response.revision == Revision(40));
  response = render(WatchOpened{false}, true);
  CHECK(response.content_type == "text/event-stream");
  CHECK(response.fields == "Cache-Control: no-store\r\nKvd-Complete: false\r\n");
}

TEST_CASE("watch: what is no longer kept, and what has not changed") {
  for (const bool events : {false, true}) {
    const HttpResponse gone = render(HistoryGone{Revision(12)}, events);
    CHECK(gone.status == 410);
    CHECK_FALSE(gone.streamed);
    CHECK_FALSE(gone.close);
    CHECK(gone.content_type == "application/problem+json");
    CHECK(gone.body.find("\"type\":\"urn:kvd:history-gone\"") != std::string::npos);
    CHECK(gone.body.find("\"revision\":40,\"oldest\":12") != std::string::npos);
    CHECK(gone.body.find("outcome") == std::string::npos);
    CHECK(gone.revision == Revision(40));
  }
  const HttpResponse same = render(NotChanged{});
  CHECK(same.status == 304);
  CHECK_FALSE(same.streamed);
  CHECK(same.body.empty());
  CHECK(same.revision == Revision(40));
}

}  // namespace kvd::http_watch_test
