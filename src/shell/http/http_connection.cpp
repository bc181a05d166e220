// See http_connection.hpp.
//
// Why closing takes two steps: a socket that is closed while unread bytes wait in it sends
// a reset, and the reset throws away the answer on its way (a 413 to who still sends the
// body). So the last answer is followed by the end of our side, and what still comes is
// read and dropped until the client ends its side, has been silent for `linger`, or has
// sent for `linger_max`: large uploads take a while.
#include "shell/http/http_connection.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/check.hpp"
#include "msg/znodes.hpp"
#include "shell/http/http_backup.hpp"
#include "shell/http/http_queue_render.hpp"
#include "shell/http/http_restore.hpp"
#include "shell/http/http_services.hpp"
#include "shell/http/http_watch.hpp"
#include "shell/wall_clock.hpp"

namespace kvd {
namespace {

constexpr size_t kDiscardedBytes = 64u << 10;  // so much of a refused body is read to keep the connection
// Behind a request that waits for others so much is read, so that a client's end is seen meanwhile.
constexpr size_t kReadAhead = 64u << 10;
constexpr unsigned int kTcpKeepAliveSeconds = 60;
// Of a client that holds something; longer than it goes on without a line itself (client/http_client.hpp).
constexpr Duration kVanishedAfter = seconds(30);
constexpr Duration kQuiet = seconds(1);  // then a client is idle: of thousands, most are

HttpResponse continue_response() {
  HttpResponse response;
  response.status = 100;
  return response;
}

// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" (RFC 9110, 5.6.7), and for how many milliseconds that is true.
uint64_t write_date(std::string& field) {
  const uint64_t now_ms = wall_ms();
  const auto seconds = static_cast<time_t>(now_ms / 1000);
  tm date{};
  gmtime_r(&seconds, &date);
  char text[64];  // no locale is ever set: the names are English
  field.assign(text, std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &date));
  return 1000 - now_ms % 1000;
}

bool ascii_lower(char c) { return c >= 'a' && c <= 'z'; }

}  // namespace

std::string_view HttpShared::stamp_of(Epoch at_epoch, Revision at_revision, uint64_t now_ms) {
  const bool dated = now_ms < date_until_ms;
  if (!dated) date_until_ms = now_ms + write_date(date_field);
  if (!dated || at_epoch != stamped_epoch || at_revision != stamped_revision) {
    stamp = node_field;
    stamp += date_field;
    append_field(stamp, "Kvd-Epoch", at_epoch.value);
    append_field(stamp, "Kvd-Revision", at_revision.value);
    stamped_epoch = at_epoch;
    stamped_revision = at_revision;
  }
  return stamp;
}

HttpConnection::HttpConnection(HttpShared& shared, uint32_t number, net::Stream stream)
    : shared_(shared), number_(number), stream_(std::move(stream)) {
  stream_.attach(*this, shared.read_buffer);
  if (shared.access.mode != AuthMode::kOn || stream_.peer_uid()) return;
  stranger_ = ++shared.strangers_counted;
  shared.strangers.emplace(stranger_, this);
}

HttpConnection::~HttpConnection() = default;

void HttpConnection::secure(net::TlsSession session, net::Handshakes& handshakes) {
  stream_.secure(std::move(session), handshakes);
  unsecured_ = true;
}

void HttpConnection::start(Admission admission) {
  if (admission == Admission::kDrop) return close();
  stream_.keep_alive(kTcpKeepAliveSeconds);
  heard_ms_ = progressed_ms_ = now_ms();
  if (admission == Admission::kRefuse) refuse({503, "too many connections"});
  update_reading();
}

// ---- input ----

bool HttpConnection::has_room() const {
  return slots_.size() < shared_.options.pipelined_max &&
         answer_bytes_ + output_.bytes() <= shared_.options.unsent_bytes_max;
}

// Reads while there is room for what comes;
// after the last request only to throw it away and to see the client go.
void HttpConnection::update_reading() {
  if (phase_ == Phase::kClosed) return;
  bool serving = phase_ == Phase::kFresh || phase_ == Phase::kServing;
  if (serving && phase_ != Phase::kFresh && (held_ || !unread_.empty())) {
    const bool waits = held_ && has_to_wait();
    if (!waits && has_room()) resume_soon();
    serving = waits && unread_.size() < kReadAhead;
  }
  bool dropping = phase_ == Phase::kLast || phase_ == Phase::kEnding;
  bool wanted = !ended_ && ((serving && has_room()) || dropping);
  if (wanted == reading_) return;
  reading_ = wanted;
  if (!wanted) return stream_.stop_reading();
  heard_ms_ = begun_ms_ = now_ms();
  stream_.start_reading();
}

void HttpConnection::on_bytes(std::string_view bytes) {
  heard_ms_ = now_ms();
  if (phase_ == Phase::kLast || phase_ == Phase::kEnding) return;
  take(bytes);
}

// The client sends no more, but may well wait for its answers (printf ... | nc -N). One that is gone
// altogether looks the same until something is written to it.
void HttpConnection::on_end(int why) {
  if (unsecured_ && why == UV_EPROTO) tell_handshake_failed(stream_.tls_failure());
  if (why != UV_EOF) return close();
  ended_ = true;
  heard_ms_ = now_ms();
  if (phase_ == Phase::kEnding) return close();
  // Who holds something by this connection lets go of it, and messages are for nobody who is gone.
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if ((slot.lines || slot.plan.waits) && !slot.done) return close();
  }
  if (!held_) last_request();  // else what has come is done first
  update_reading();
}

// Whoever can reach the port can make us say it: hence the limit.
void HttpConnection::tell_handshake_failed(const std::string& why) {
  const std::optional<uint64_t> left_out = shared_.handshake_lines.heard(why, now_ms());
  if (!left_out) return;
  LogLine line{LogLevel::kWarn, "no TLS with a client", {}};
  line.fields.emplace_back("client", client_address());
  line.fields.emplace_back("reason", why);
  if (*left_out > 0) line.fields.emplace_back("left_out", std::to_string(*left_out));
  shared_.log(std::move(line));
}

std::string HttpConnection::client_address() const {
  const net::SocketAddress from = stream_.remote();
  return format_address({from.host(), from.port()});
}

void HttpConnection::on_plain() {
  unsecured_ = false;
  ++shared_.counters.handshakes_failed;
  if (output_.waiting()) output_.written();  // it waited for the handshake
  refuse({400, "this port speaks TLS: use https://"});
}

void HttpConnection::take(std::string_view input) {
  if (held_ && has_to_wait()) {
    unread_ += input;
    update_reading();
    return account();
  }
  std::string joined;
  if (!unread_.empty()) {
    joined = std::exchange(unread_, std::string());
    joined += input;
    input = joined;
  }
  if (phase_ == Phase::kFresh && take_word(input)) return;
  if (phase_ == Phase::kServing) parse(input);
  if (phase_ == Phase::kServing) unread_ = input;
  if (phase_ == Phase::kServing && ended_ && !held_ && unread_.empty()) last_request();
  emit_done();
  update_reading();
  account();
}

// ZooKeeper's users ask `echo ruok | nc host port`. No method of HTTP is written in lower case, so a
// lower-case first byte cannot begin a request. True: the input is dealt with.
bool HttpConnection::take_word(std::string_view input) {
  constexpr size_t kWordBytes = 4;
  bool undecided = input.size() < kWordBytes && std::all_of(input.begin(), input.end(), ascii_lower);
  if (undecided) {
    unread_ = input;
    return true;
  }
  std::string_view word = input.substr(0, kWordBytes);
  phase_ = Phase::kServing;
  if (!is_four_letter_word(word)) return false;
  Slot& slot = add_slot();
  if (word == "ruok") {
    HttpResponse response;
    response.status = kRawText;
    response.body = "imok";
    response.close = true;
    settle_here(slot, std::move(response));
  } else {
    AcceptedHead accepted = accept_word(word);
    if (shared_.access.mode != AuthMode::kOff)
      accepted.call.caller = find_caller(std::nullopt).value_or(nullptr);
    ask(slot, std::move(accepted));
  }
  last_request();
  emit_done();
  update_reading();
  return true;
}

void HttpConnection::parse(std::string_view& input) {
  while (phase_ == Phase::kServing && has_room()) {
    if (held_) {
      if (has_to_wait()) return;
      on_request();
      continue;
    }
    const size_t before = input.size();
    const HttpParser::Event event = parser_.advance(input);
    if (input.size() < before && !std::exchange(begun_, true)) begun_ms_ = now_ms();
    switch (event) {
      case HttpParser::Event::kMore:
        if (accepted_ && accepted_->plan.route == Route::kRestore) take_restore_body();
        return;
      case HttpParser::Event::kHead:
        on_head();
        break;
      case HttpParser::Event::kRequest:
        begun_ = false;
        held_ = true;
        break;
      case HttpParser::Event::kError:
        if (refusal_) {
          refusal_->close = true;
          settle_here(add_slot(), *std::exchange(refusal_, std::nullopt));
          last_request();
        } else {
          refuse(parser_.error());
        }
        return;
    }
  }
}

void HttpConnection::on_head() {
  const HttpRequest& request = parser_.request();
  begun_ms_ = now_ms();
  if (asks_ || !shown_.empty()) forget_caller();
  std::optional<HttpResponse> refusal = accept_head(request, shared_.options.identity, accepted_.emplace());
  replaces_rights_ = accepted_->plan.replace_rights;
  if (!refusal && has_to_be_known()) refusal = identify(request);
  if (!refusal && accepted_->plan.route == Route::kRestore) {
    if (shared_.restoring) {
      refusal =
          render_refusal({503, "another snapshot is being restored through this server"}, request.method);
    } else if (under_way_ != decltype(under_way_){}) {
      // Until they are answered it would be held in memory, and keep all others out.
      refusal = render_refusal({503, "requests before it on this connection are not answered yet: try again"},
                               request.method);
    } else {
      begin_restore(*accepted_);
    }
  }
  bool asks_first = request.has_body && request.expects_continue;
  if (!refusal) {
    parser_.limit_body(accepted_->body_bytes_max, accepted_->body_name);
    bool too_long = request.content_length.value_or(0) > accepted_->body_bytes_max;
    if (asks_first && !too_long) settle_here(slots_.emplace_back(), continue_response());
    return;
  }
  accepted_.reset();
  if (asks_first || request.content_length.value_or(0) > kDiscardedBytes) refusal->close = true;
  if (refusal->close) {
    Slot& slot = add_slot();
    slot.head = request.method == HttpMethod::kHead;
    settle_here(slot, std::move(*refusal));
    last_request();
    return;
  }
  refusal_ = std::move(refusal);
  parser_.discard_body();
  parser_.limit_body(kDiscardedBytes, "a refused body");
}

void HttpConnection::on_request() {
  HttpRequest& request = parser_.request();
  held_ = false;
  if (ended_ && accepted_ && accepted_->plan.waits) {  // for nobody: what came before it is still answered
    accepted_.reset();
    return last_request();
  }
  Slot& slot = add_slot();
  slot.head = request.method == HttpMethod::kHead;
  slot.keep_alive = request.minor_version == 0 && request.keep_alive;
  slot.chunked = request.minor_version > 0;
  const bool restore = accepted_ && accepted_->plan.route == Route::kRestore;
  if (!refusal_ && accepted_->call.caller && is_unknown_by_now()) refusal_ = refuse_unknown();
  if (restore && !refusal_) {
    refusal_ = restore_->take(request.body.view());
    if (!refusal_) refusal_ = restore_->verify();
  }
  if (!refusal_ && !restore)
    refusal_ = accept_body(*accepted_, request.body.take(), shared_.options.identity);
  bool last = !request.keep_alive || shared_.stopping;
  if (refusal_) {
    if (restore) drop_restore();
    settle_here(slot, *std::exchange(refusal_, std::nullopt));
  } else if (accepted_->plan.route == Route::kWhoami) {
    settle_here(slot, whoami());
  } else if (restore) {
    restore_sequence_ = (first_sequence_ + static_cast<uint32_t>(slots_.size() - 1)) & kSequenceMask;
    restore_writes_ = true;
    slot.caller = restore_caller_;
    begin(slot, Kind::kOther);
    write_restore();
  } else {
    // Without chunks only the connection's end tells where such an answer ends.
    const auto* service = std::get_if<ServiceCall>(&accepted_->call.what);
    const Route route = accepted_->plan.route;
    const bool in_parts = route == Route::kBackup || route == Route::kWatch || route == Route::kHold ||
                          (service != nullptr && holds(*service));
    if (in_parts && !slot.chunked) {
      last = true;
      slot.keep_alive = false;
    }
    ask(slot, std::move(*accepted_));
  }
  accepted_.reset();
  if (last) last_request();
}

void HttpConnection::refuse(const HttpError& error) {
  if (!accepted_) forget_caller();
  Slot& slot = add_slot();
  slot.head = parser_.request().method == HttpMethod::kHead;
  settle_here(slot, render_refusal(error, parser_.request().method));
  if (accepted_ && accepted_->plan.route == Route::kRestore) drop_restore();
  accepted_.reset();
  last_request();
  emit_done();
}

// ---- answers ----

HttpConnection::Slot& HttpConnection::add_slot() {
  ++shared_.counters.requests;
  Slot& slot = slots_.emplace_back();
  if (shared_.audit != nullptr) begin_audit(slot);
  return slot;
}

HttpConnection::Kind HttpConnection::kind_of(const AcceptedHead& accepted) {
  const Route route = accepted.plan.route;
  if (!accepted.plan.write)
    return route == Route::kWatch || route == Route::kHold ? Kind::kOther : Kind::kSafe;
  const bool of_store = route == Route::kKey || route == Route::kCollection || route == Route::kLease ||
                        route == Route::kQueue || route == Route::kTopic;
  const auto* store = std::get_if<StoreCall>(&accepted.call.what);
  const bool receives = store != nullptr && std::holds_alternative<Box<ReceiveMessages>>(store->operation);
  return of_store && !receives ? Kind::kWrite : Kind::kOther;
}

// The parser's request, for those of other kinds before it.
bool HttpConnection::has_to_wait() const {
  if (refusal_) return false;
  const auto under_way = [this](Kind kind) { return under_way_[static_cast<size_t>(kind)]; };
  const Kind kind = kind_of(*accepted_);
  return under_way(Kind::kOther) != 0 || (kind != Kind::kSafe && under_way(Kind::kSafe) != 0) ||
         (kind != Kind::kWrite && under_way(Kind::kWrite) != 0);
}

void HttpConnection::begin(Slot& slot, Kind kind) {
  slot.kind = kind;
  if (kind != Kind::kNone) ++under_way_[static_cast<size_t>(kind)];
}

void HttpConnection::set_done(Slot& slot) {
  slot.done = true;
  if (slot.kind != Kind::kNone) --under_way_[static_cast<size_t>(slot.kind)];
}

// `slot` is the newest.
void HttpConnection::ask(Slot& slot, AcceptedHead&& accepted) {
  uint32_t sequence = (first_sequence_ + static_cast<uint32_t>(slots_.size() - 1)) & kSequenceMask;
  begin(slot, kind_of(accepted));
  slot.plan = std::move(accepted.plan);
  slot.caller = accepted.call.caller;
  slot.goes_on = slot.plan.waits || !std::holds_alternative<StoreCall>(accepted.call.what);
  accepted.call.id = request_id(number_, sequence);
  shared_.sink(std::move(accepted.call));
}

// An answer that the node was not asked for.
void HttpConnection::settle_here(Slot& slot, HttpResponse&& response) {
  slot.ours = true;
  settle(slot, std::move(response));
}

void HttpConnection::settle(Slot& slot, HttpResponse&& response) {
  if (slot.audit) end_audit(slot, response.status, slot.ours ? Revision(0) : response.revision);
  slot.response = std::move(response);
  set_done(slot);
  answer_bytes_ += slot.response.body_bytes();
}

HttpConnection::Slot& HttpConnection::slot_of(uint32_t sequence) {
  const uint32_t index = (sequence - first_sequence_) & kSequenceMask;
  CHECK(index < slots_.size());
  Slot& slot = slots_[index];
  CHECK(!slot.done);
  return slot;
}

void HttpConnection::answer(uint32_t sequence, const Reply& reply) {
  const auto* store = std::get_if<StoreAnswer>(&reply.what);
  if ((sequence & kBatchBit) != 0) {
    if (restore_) restore_->writing().on_reply(sequence & kSequenceMask, *store, now());
    return resume_soon();
  }
  Slot& slot = slot_of(sequence);
  if (store != nullptr && reply.line) {
    add_messages(slot, *store);
  } else if (store != nullptr) {
    answer(slot, *store);
  } else if (const auto* watch = std::get_if<WatchAnswer>(&reply.what)) {
    answer(slot, *watch);
  } else {
    slot.ours = true;  // what it says is of no revision
    const auto& service = std::get<ServiceAnswer>(reply.what);
    reply.line ? add_line(slot, service, reply.last)
               : settle(slot, render_service(service, false, slot.plan.write));
  }
  mark_dirty();
}

void HttpConnection::answer(Slot& slot, const StoreAnswer& answer) {
  if (const auto* part = std::get_if<Box<SnapshotPart>>(&answer.answer)) {
    take_part(slot, answer, **part);
  } else if (slot.plan.route == Route::kAuth && std::holds_alternative<Listing>(answer.answer)) {
    settle(slot, access_list(slot, answer));
  } else if (slot.backup) {
    shared_.log({LogLevel::kWarn, "cut a backup off", {{"why", std::get<Failed>(answer.answer).detail}}});
    close();
  } else {
    settle(slot, render_reply(slot.plan, answer, shared_.options.identity, shared_.counters));
  }
}

void HttpConnection::answer(Slot& slot, const WatchAnswer& answer) {
  HttpResponse response = render_watch(slot.plan, answer);
  if (!response.streamed) return settle(slot, std::move(response));
  begin_lines(slot, std::move(response));
}

void HttpConnection::add_lines(uint32_t sequence, const StreamLines& lines) {
  Slot& slot = slot_of(sequence);
  if (ended_) return close();
  std::string text;
  for (const WatchLine& line : lines.lines) {
    append_watch_line(text, slot.plan, line);
    untaken_ += line_bytes(line, !slot.plan.keys_only);
  }
  const size_t before = slot.response.body.size();
  append_chunk(slot.response.body, text, slot.chunked);
  answer_bytes_ += slot.response.body.size() - before;
  if (lines.last) end_lines(slot);
  mark_dirty();
}

// What such an answer grants lasts as long as the connection. So a client that has vanished without a word must be
// noticed: what is sent to it, a line every few seconds, is not acknowledged.
void HttpConnection::begin_lines(Slot& slot, HttpResponse&& head) {
  if (slot.audit) end_audit(slot, head.status, Revision(0));
  slot.lines = true;
  slot.response = std::move(head);
  stream_.end_unacknowledged_after(kVanishedAfter);
}

void HttpConnection::end_lines(Slot& slot) {
  if (slot.chunked) {
    slot.response.body += kLastChunk;
    answer_bytes_ += kLastChunk.size();
  }
  untaken_ = 0;  // nothing of it is another stream's
  set_done(slot);
}

// What a consumer was granted, or a page of a topic that is read as a stream.
void HttpConnection::add_messages(Slot& slot, const StoreAnswer& answer) {
  if (ended_) return close();
  slot.ours = true;  // each line is of a revision of its own
  const auto* page = std::get_if<Peeked>(&answer.answer);
  if (!slot.lines) begin_lines(slot, lines_head(slot.plan, page == nullptr || page->complete));
  const auto* received = page == nullptr ? &*std::get<Box<Received>>(answer.answer) : nullptr;
  for (const QueuedMessage& message : page != nullptr ? page->messages : received->messages)
    untaken_ += line_bytes(message);
  const size_t before = slot.response.body.size();
  append_chunk(slot.response.body, page != nullptr ? page_lines(slot.plan, *page) : received_lines(*received),
               slot.chunked);
  answer_bytes_ += slot.response.body.size() - before;
}

void HttpConnection::add_line(Slot& slot, const ServiceAnswer& answer, bool last) {
  if (ended_) return close();  // who holds something by this connection has let go of it
  if (!slot.lines) begin_lines(slot, render_service(answer, true, slot.plan.write));
  const size_t before = slot.response.body.size();
  append_chunk(slot.response.body, slot.plan.events ? event_of("", line_of(answer)) : line_of(answer),
               slot.chunked);
  answer_bytes_ += slot.response.body.size() - before;
  if (last) end_lines(slot);
}

// Answers leave in the order of the requests, whatever the order in which the node found them.
void HttpConnection::emit_done() {
  while (!slots_.empty()) {
    Slot& slot = slots_.front();
    const bool in_parts = slot.backup || slot.lines;
    if (in_parts) emit_part(slot);
    if (!slot.done) break;
    if (!in_parts) emit(slot);
    slots_.pop_front();
    first_sequence_ = (first_sequence_ + 1) & kSequenceMask;
  }
  if (phase_ == Phase::kLast && slots_.empty()) mark_dirty();
}

void HttpConnection::emit(Slot& slot) {
  HttpResponse& response = slot.response;
  answer_bytes_ -= response.body_bytes();
  emit_head(slot);
  if (!slot.head && !response.body.empty()) output_.text() += response.body;
  if (!slot.head && response.body.empty()) output_.append(response.value);
  heard_ms_ = now_ms();
  if (response.status == 100) begun_ms_ = heard_ms_;
  mark_dirty();
}

void HttpConnection::emit_head(Slot& slot) {
  HttpResponse& response = slot.response;
  if (slot.ours) {  // what the node said last has to do
    response.epoch = shared_.epoch;
    response.revision = shared_.revision;
  }
  bool last = slots_.size() == 1;
  if (last && shared_.stopping && phase_ == Phase::kServing) last_request();
  if (last && phase_ == Phase::kLast) response.close = true;
  ++shared_.counters.responses[std::min<size_t>(response.status / 100, 5)];
  if (response.status != kRawText) {
    append_head(output_.text(), response,
                {shared_.stamp_of(response.epoch, response.revision, now_ms()), slot.head, slot.keep_alive,
                 slot.chunked});
  }
}

// ---- answers in parts ----

// One part at a time: the next one is asked for when this one is in the kernel's hands, and not before the loop's next
// turn, so that others have theirs.
void HttpConnection::take_part(Slot& slot, const StoreAnswer& answer, const SnapshotPart& part) {
  slot.asked = false;
  const bool first = slot.backup == nullptr;
  if (first) slot.response = render_reply(slot.plan, answer, shared_.options.identity, shared_.counters);
  if (first && slot.audit) end_audit(slot, slot.response.status, answer.revision);
  if (slot.head) {
    set_done(slot);
    return;
  }
  if (first) slot.backup = std::make_unique<HttpBackup>(slot.chunked);
  if (!slot.backup->add(part, slot.response.body)) return close();
  answer_bytes_ += slot.response.body.size();
  if (slot.backup->done()) set_done(slot);
  if (auto line = slot.backup->progress(now_ms())) shared_.log(std::move(*line));
}

// `slot` is the oldest.
void HttpConnection::emit_part(Slot& slot) {
  if (slot.response.body.empty() && (slot.begun || !slot.lines)) return;
  if (!std::exchange(slot.begun, true)) emit_head(slot);
  output_.text() += slot.response.body;
  answer_bytes_ -= slot.response.body.size();
  slot.response.body.clear();
  heard_ms_ = now_ms();
  mark_dirty();
}

bool HttpConnection::wants_part() const {
  if (slots_.empty() || !output_.empty()) return false;
  const Slot& slot = slots_.front();
  return slot.backup && !slot.done && !slot.asked && slot.response.body.empty();
}

void HttpConnection::ask_for_part() {
  Slot& slot = slots_.front();
  slot.asked = true;
  Call call;
  call.id = request_id(number_, first_sequence_);
  call.caller = slot.caller;
  std::get<StoreCall>(call.what).operation = slot.backup->next();
  shared_.sink(std::move(call));
}

void HttpConnection::resume_soon() {
  if (std::exchange(resumable_, true)) return;
  shared_.resumable.push_back(this);
  shared_.resume.ask();
}

// No further requests are taken; what is in the slots is still answered.
void HttpConnection::last_request() {
  if (phase_ == Phase::kEnding || phase_ == Phase::kClosed) return;
  phase_ = Phase::kLast;
  held_ = false;
  unread_.clear();
  mark_dirty();
}

void HttpConnection::mark_dirty() {
  if (dirty_ || phase_ == Phase::kClosed) return;
  dirty_ = true;
  shared_.dirty.push_back(this);
}

void HttpConnection::flush() {
  if (phase_ == Phase::kClosed) return;
  emit_done();
  dirty_ = false;
  bool waited = output_.waiting();
  if (output_.flush(stream_) != 0) return close();
  if (!waited && output_.waiting()) {
    progressed_ms_ = now_ms();
    unwritten_ = stream_.unsent();
  }
  if (phase_ == Phase::kLast && slots_.empty() && output_.empty()) return finish();
  if (wants_part()) resume_soon();
  report_taken();
  update_reading();
  account();
}

// So that the node says more.
void HttpConnection::report_taken() {
  if (untaken_ < limits::kStreamReport || !output_.empty() || slots_.empty()) return;
  shared_.sink(StreamTaken{request_id(number_, first_sequence_), std::exchange(untaken_, 0)});
}

void HttpConnection::on_written(int status) {
  output_.written();
  if (status != 0) return close();
  mark_dirty();
  update_reading();
  account();
}

void HttpConnection::finish() {
  if (ended_) return close();
  phase_ = Phase::kEnding;
  ending_ms_ = heard_ms_ = now_ms();
  if (stream_.shut_down() != 0) return close();
  update_reading();
}

// ---- time and end ----

void HttpConnection::resume() {
  resumable_ = false;
  if (wants_part()) ask_for_part();
  if (restore_writes_) {
    write_restore();
    emit_done();
  }
  if (phase_ == Phase::kServing) take({});
}

void HttpConnection::check_time(uint64_t now) {
  const HttpOptions& options = shared_.options;
  if (restore_writes_) resume_soon();  // what was refused may be due once more
  auto over = [now](uint64_t since, Duration limit) {
    return now >= since && now - since > static_cast<uint64_t>(to_ms(limit));
  };
  if (phase_ == Phase::kEnding) {
    if (over(heard_ms_, options.linger) || over(ending_ms_, options.linger_max)) close();
    return;
  }
  if (unsecured_) {
    if (over(progressed_ms_, options.handshake)) close();
    return;
  }
  if (goes_on_in_vain()) return close();
  if (output_.waiting()) {
    size_t unwritten = stream_.unsent();
    if (unwritten != std::exchange(unwritten_, unwritten)) progressed_ms_ = now;
    if (over(progressed_ms_, options.stall)) close();
    return;
  }
  const bool answering = !slots_.empty() && !slots_.front().backup && !restore_;
  if (ended_ && answering && over(heard_ms_, options.ended)) return close();
  bool serving = phase_ == Phase::kFresh || phase_ == Phase::kServing;
  if (!serving || !reading_) return;
  if (begun_) {
    // Who has not been told yet to go on need not.
    if (!slots_.empty() && slots_[slots_.size() - 1].response.status == 100) return;
    if (over(heard_ms_, options.receive) || (over(begun_ms_, options.head) && comes_too_slowly(now)))
      refuse({408, "the rest of the request did not come in time"});
  } else if (slots_.empty()) {
    if (over(heard_ms_, options.idle)) return close();
    if (over(heard_ms_, kQuiet)) output_.give_back();
  }
}

// More than `head` has passed since the request began, or since its head was there.
bool HttpConnection::comes_too_slowly(uint64_t now) const {
  if (!parser_.in_body()) return true;
  if (restore_) return false;
  return parser_.body_bytes() < (now - begun_ms_) * shared_.options.body_bytes_a_second / 1000;
}

void HttpConnection::close() {
  if (std::exchange(phase_, Phase::kClosed) == Phase::kClosed) return;
  if (unsecured_) ++shared_.counters.handshakes_failed;
  leave_crowd();
  end_audits();
  // The newest first: one that waits for another before it is not sent when that one is given up.
  for (size_t i = slots_.size(); i-- > 0;) {
    bool asked = !slots_[i].done;
    if (!asked) continue;
    uint32_t sequence = (first_sequence_ + static_cast<uint32_t>(i)) & kSequenceMask;
    shared_.sink(CallCancelled{request_id(number_, sequence)});
  }
  if (restore_) {
    if (auto line = restore_->given_up()) shared_.log(*line);
    drop_restore();
  }
  shared_.held_bytes -= std::exchange(accounted_, 0);
  if (dirty_) std::erase(shared_.dirty, this);
  if (resumable_) std::erase(shared_.resumable, this);
  auto found = shared_.open.find(number_);
  shared_.closed.push_back(std::move(found->second));
  shared_.open.erase(found);
  shared_.counters.connections_open = shared_.open.size();
  // What the client does not get must not look like a whole answer,
  // nor fill the kernel's buffers for its sake.
  bool cut_short = !slots_.empty() || !output_.empty();
  cut_short ? stream_.reset() : stream_.close();
}

void HttpConnection::shed() {
  BytesBuilder& body = parser_.request().body;
  if (phase_ != Phase::kServing || restore_ || body.size() <= answer_bytes_ + output_.bytes()) return close();
  body.clear();
  refuse({503, "too much is being sent to this server at once"});
  account();
}

void HttpConnection::account() {
  if (phase_ == Phase::kClosed) return;
  size_t held = answer_bytes_ + output_.bytes() + unread_.size() + parser_.request().body.size();
  shared_.held_bytes += held - accounted_;
  accounted_ = held;
}

}  // namespace kvd
