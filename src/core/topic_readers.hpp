// The topic readers: who reads topics at this server as messages are published, without a subscription. A reader is a
// place in a topic, and keeps it itself: as a stream, which gets a line for each message behind it, or as one page that
// waits until there is something. Each is a loop of pages of this server's copy: it rests when there is nothing more,
// until something that is committed here concerns its topic. Who does not take the lines is told nothing more, beyond
// one page that is under way, and stays where it is; what the topic no longer keeps by then is told as a gap. So
// nothing is skipped without a word, and nobody is waited for.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/outbox.hpp"

namespace kvd {

class TopicReaders {
 public:
  explicit TopicReaders(Outbox& out) : out_(out) {}

  void handle(TopicReadersMessage&& message);
  void on_time();
  // Once per turn, when nothing more is known: asks for so many pages that others are not held up.
  void flush();
  Instant deadline() const;

  uint64_t streams() const { return streams_; }  // for status
  bool drained() const { return stopping_ && readers_.empty(); }

 private:
  struct Reader {
    PageTopic page;  // what it asks for next
    bool stream = false;
    bool opened = false;   // its first line is said
    bool over = false;     // a page: its time is
    bool queued = false;   // in ready_
    uint64_t number = 0;   // the topic's: in topics_; 0: not known yet
    uint64_t token = 0;    // by which it has asked; 0: it rests
    Revision woken;        // by what was committed then
    size_t untaken = 0;    // of its lines; at limits::kStreamWindow it asks for nothing more
    Instant due = kNever;  // in due_: a page's end, a stream's next line when nothing happens
  };
  using All = std::map<RequestId, Reader>;

  void on(Call&& message);
  void on(const CallCancelled& message);
  void on(const StreamTaken& message);
  void on(Committed&& message);
  void on(const HistoryReset& message);
  void on(RoleChanged&& message);
  void on(const CopyHeard& message);
  void on(Answered&& message);
  void on(const StopRequested& message);

  void ask(RequestId id, Reader& reader);
  void ask_soon(RequestId id, Reader& reader);
  void wake(RequestId id, Reader& reader, Revision revision);
  void wake_all();
  void take(All::iterator it, Peeked&& found, Revision revision);
  void lose(All::iterator it);
  void take_failure(All::iterator it, Answered&& answered);
  void say(RequestId id, Reader& reader, Peeked&& page, Revision revision);
  void say_state(RequestId id, Reader& reader, Document line, bool last);
  void say_current(RequestId id, Reader& reader);
  void number(RequestId id, Reader& reader, uint64_t number);
  void arm(RequestId id, Reader& reader, Instant due);
  void forget(All::iterator it);

  Outbox& out_;
  All readers_;
  std::set<std::pair<uint64_t, RequestId>> topics_;  // by number: who reads them
  std::set<std::pair<Instant, RequestId>> due_;
  std::deque<RequestId> ready_;          // who asks next; perhaps gone meanwhile
  std::map<uint64_t, RequestId> asked_;  // pages, by token
  uint64_t last_token_ = 0;
  uint64_t streams_ = 0;
  RoleChanged role_;
  CopyHeard heard_;
  bool stopping_ = false;
};

}  // namespace kvd
