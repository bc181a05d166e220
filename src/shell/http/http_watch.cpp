// See http_watch.hpp.
#include "shell/http/http_watch.hpp"

#include <optional>

#include "base/json_writer.hpp"

namespace kvd {
namespace {

struct LineJson {
  JsonWriter& json;
  bool values;

  void operator()(const WatchEvent& event) const {
    const Record& record = event.record;
    begin(record.has_value() ? "put"
          : record.expired() ? "expire"
                             : "delete")
        .bytes_member("key", record.key());
    if (record.has_value() && values) json.bytes_member("value", record.value());
    json.member("revision", record.modified().value);
    if (record.has_value())
      json.member("version", record.version()).member("created", record.created().value);
    if (event.more) json.member("more", true);
    if (event.state) json.member("state", true);
  }
  void operator()(const WatchProgress& progress) const {
    begin("progress").member("revision", progress.revision.value);
    if (progress.linear) json.member("linear", true);
  }
  void operator()(const WatchWaiting& waiting) const {
    begin("waiting").member("revision", waiting.revision.value);
  }
  void operator()(const WatchStale& stale) const { begin("stale").member("silent_ms", to_ms(stale.silent)); }
  void operator()(const WatchCurrent& current) const {
    begin("current").member("revision", current.revision.value);
  }
  void operator()(const WatchSynced& synced) const {
    begin("synced").member("revision", synced.revision.value);
    if (!synced.complete) json.member("complete", false);
  }
  void operator()(const WatchReset& reset) const {
    begin("reset").member("revision", reset.revision.value).member("reason", watch_break_name(reset.reason));
  }
  void operator()(const WatchGone& gone) const {
    begin("gone").member("revision", gone.revision.value).member("oldest", gone.oldest.value);
    json.member("reason", watch_break_name(gone.reason));
  }

 private:
  JsonWriter& begin(std::string_view type) const { return json.begin_object().member("type", type); }
};

std::string json_of(const WatchLine& line, bool values) {
  JsonWriter json;
  std::visit(LineJson{json, values}, line);
  json.end_object();
  return json.take();
}

// From where a stream that has said this may be resumed.
std::optional<Revision> resume_point(const WatchLine& line) {
  if (const auto* event = std::get_if<WatchEvent>(&line)) {
    if (event->more || event->state) return std::nullopt;
    return event->record.modified();
  }
  if (const auto* progress = std::get_if<WatchProgress>(&line)) return progress->revision;
  if (const auto* synced = std::get_if<WatchSynced>(&line)) return synced->revision;
  return std::nullopt;
}

}  // namespace

HttpResponse render_watch(const ReplyPlan& plan, const WatchAnswer& answer) {
  HttpResponse response;
  if (const auto* opened = std::get_if<WatchOpened>(&answer.what)) {
    response.content_type = plan.events ? kEvents : kJsonLines;
    response.streamed = true;
    add_field(response, "Cache-Control", "no-store");
    if (!opened->complete) add_field(response, "Kvd-Complete", "false");
  } else if (const auto* gone = std::get_if<HistoryGone>(&answer.what)) {
    Problem problem;
    problem.status = 410;
    problem.kind = "history-gone";
    problem.detail =
        "what came behind that revision is no longer kept here: read what is there, and watch behind the "
        "revision of that; or ask with state=1";
    problem.revision = answer.revision;
    problem.oldest = gone->oldest;
    response = problem_response(problem);
  } else {
    response.status = 304;
  }
  response.epoch = answer.epoch;
  response.revision = answer.revision;
  return response;
}

void append_watch_line(std::string& body, const ReplyPlan& plan, const WatchLine& line) {
  const std::string text = json_of(line, !plan.keys_only);
  if (!plan.events) {
    body.append(text).append("\n");
    return;
  }
  if (const auto point = resume_point(line))
    body.append("id: ").append(std::to_string(point->value)).append("\n");
  if (std::holds_alternative<WatchReset>(line)) body.append("id\n");
  body.append("data: ").append(text).append("\n\n");
}

}  // namespace kvd
