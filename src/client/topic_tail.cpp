// See topic_tail.hpp.
#include "client/topic_tail.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <utility>

#include "base/command_line.hpp"
#include "client/answers.hpp"

namespace kvd::client {

TopicTail::TopicTail(net::Loop& loop, TopicTailOptions options, uint64_t seed)
    : StreamCommand(loop, options.servers, seed), options_(std::move(options)) {}

std::string TopicTail::target() const {
  std::string place;
  add_place(place, "after", options_.from);
  return path_of_source({MessageSource::Kind::kTopic, options_.topic, ""}, "/stream?") + place;
}

void TopicTail::on_head(const Response& head) {
  say_.forget();
  if (field_of(head, "Kvd-Complete") == "false") say_.once("this server's copy may lack messages");
}

// A topic that is not there may be made yet: by its first message.
void TopicTail::on_answer(const Response& answer) {
  const std::string text = problem_text(answer.status, answer.body);
  const bool no_topic = answer.status == 404 && text_in(answer.body, "type") == "urn:kvd:no-topic";
  if (no_topic || answer.status >= 500 || answer.status == 408) return try_on(text);
  finish(tell(CommandEnd{EX_DATAERR, text}));
}

void TopicTail::on_line(const std::string& text) {
  using Kind = TopicLine::Kind;
  const auto line = parse_topic_line(text);
  if (!line) return try_on(line.error().detail);
  switch (line->kind) {
    case Kind::kMessage:
      if (move_on(line->id)) put_out(line->json + "\n");
      return;
    case Kind::kGap:
      say_.line(gap_text(line->gap));
      move_on(line->gap.last);
      return;
    case Kind::kProgress:
      move_on(line->id);
      return;
    case Kind::kStale:
      return say_.once("the server does not hear the leader: others may know more");
    case Kind::kCurrent:
      return say_.forget();
    case Kind::kLost:
      return try_on(fmt::format("the server cannot go on ({})", line->reason));
    case Kind::kOther:
      return;
  }
}

// False: all up to there has been told before.
bool TopicTail::move_on(const std::string& id) {
  const auto to = parse_message_id(id);
  if (!to) {
    try_on(fmt::format("'{}' is no message's id", id));
    return false;
  }
  TopicPlace& from = options_.from;
  if (from.kind == TopicPlace::Kind::kId && *to <= from.id) return false;
  from = {TopicPlace::Kind::kId, *to, 0};
  return true;
}

}  // namespace kvd::client
