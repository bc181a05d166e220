// One client connection: bytes in, requests to the node, answers out in the order of the requests. It lives
// from accept to close and belongs to its HttpServer; only the server and its socket call it. Loop thread only.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ring.hpp"
#include "net/handshakes.hpp"
#include "net/loop.hpp"
#include "net/stream.hpp"
#include "net/tls.hpp"
#include "shell/audit_log.hpp"
#include "shell/http/http_api.hpp"
#include "shell/http/http_audit.hpp"
#include "shell/http/http_caller.hpp"
#include "shell/http/http_options.hpp"
#include "shell/http/http_output.hpp"
#include "shell/http/http_parser.hpp"
#include "shell/input_sink.hpp"
#include "shell/log_limit.hpp"

namespace kvd {

class HttpBackup;
class HttpConnection;
class HttpRestore;

// What the connections of one server share. Lives until the last of them is closed.
struct HttpShared {
  uv_loop_t* loop;
  HttpOptions options;
  InputSink sink;
  LogSink log;
  LogLimit handshake_lines;  // why handshakes came to nothing
  LogLimit refusal_lines;    // ... and what was shown did not count
  HttpAccess access;
  AuditLog* audit = nullptr;  // null: there is none
  // Connections from the network by which nobody has shown who he is, where that counts: the oldest first.
  std::map<uint64_t, HttpConnection*> strangers;
  uint64_t strangers_counted = 0;
  AuditLimit audit_limit;                 // of what these have been refused
  std::map<std::string, size_t> by_user;  // connections, where that is bounded
  std::string node_field;                 // "Kvd-Node: ...\r\n", and what is as constant
  std::string date_field;                 // "Date: ...\r\n", true until:
  uint64_t date_until_ms = 0;
  std::string stamp;  // these and the other fields of every answer, as of:
  Epoch stamped_epoch{UINT64_MAX};
  Revision stamped_revision;
  Epoch epoch;  // the newest that the node's replies told of
  Revision revision;
  HttpCounters counters;
  bool restoring = false;              // a snapshot, one at a time
  bool stopping = false;               // every answer is its connection's last
  size_t held_bytes = 0;               // of all connections, see HttpConnection::held_bytes()
  std::vector<HttpConnection*> dirty;  // with output to flush
  std::vector<HttpConnection*> resumable;
  net::NextTurn resume;                                                // of those
  std::unordered_map<uint32_t, std::unique_ptr<HttpConnection>> open;  // by number
  std::vector<std::unique_ptr<HttpConnection>> closed;  // in this turn: they may be at it still
  std::array<char, 65536> read_buffer;

  // The header lines that every answer has. Most answers of a turn have the same.
  std::string_view stamp_of(Epoch at_epoch, Revision at_revision, uint64_t now_ms);
};

class HttpConnection final : private net::StreamOwner {
 public:
  enum class Admission : uint8_t {
    kServe,
    kRefuse,  // one 503
    kDrop,    // closed without a word
  };
  // Not in `shared` yet: start() follows.
  HttpConnection(HttpShared& shared, uint32_t number, net::Stream stream);
  ~HttpConnection() override;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  void secure(net::TlsSession session, net::Handshakes& handshakes);  // before start()
  void start(Admission admission);

  // The node's reply to request number `sequence` of this connection.
  void answer(uint32_t sequence, const Reply& reply);
  // Lines of the stream that request number `sequence` has opened.
  void add_lines(uint32_t sequence, const StreamLines& lines);
  // Hands the collected answers to the kernel.
  void flush();
  // Goes on with what had to wait for room: requests that were read, the next part of an answer.
  void resume();
  // Ends what takes too long. `now_ms` is the loop's time.
  void check_time(uint64_t now_ms);
  // Ends at once. The node is told that nobody waits any more.
  void close();
  // Rights have changed: what goes on without one ends.
  void end_without_right(const AccessTable& before);
  // Gives back most of the memory that is held, and ends: who is sending a body is told why.
  void shed();

  // Memory that this client is responsible for:
  // answers not yet taken by the kernel, and a body being received.
  size_t held_bytes() const { return accounted_; }
  bool idle() const { return slots_.empty() && !held_ && output_.empty(); }

 private:
  // Requests of one kind may be under way together, of different kinds not (RFC 9112, 9.3.2): a read would be answered
  // from before the write that it is behind, and a write be done before the read.
  enum class Kind : uint8_t {
    kNone,   // answered here, without the node
    kSafe,   // reads
    kWrite,  // of keys: the node does them in their order
    kOther,  // one at a time. Behind a stream of lines nothing is done before it ends: else one would write before
             // one has the lock that one is waiting for
  };
  static constexpr uint32_t kSequenceMask = 0x7fff'ffff;
  // In place of a sequence: a batch of a restore, and its number.
  static constexpr uint32_t kBatchBit = ~kSequenceMask;
  struct Slot {  // one request, from its head to its answer
    bool done = false;
    bool ours = false;        // answered here, without the node
    bool head = false;        // a HEAD request
    bool keep_alive = false;  // an HTTP/1.0 client that wants to be told
    bool chunked = true;      // a client that knows chunks
    Kind kind = Kind::kNone;  // while not done
    ReplyPlan plan;           // while not done
    std::shared_ptr<const Caller> caller;
    bool goes_on = false;                // for longer than a moment: lines, or what waits
    std::unique_ptr<AuditRecord> audit;  // null: there is no audit log
    HttpResponse response;               // once done
    // An answer in parts: `response` is its head with, as its body, what is ready to go.
    std::unique_ptr<HttpBackup> backup;
    bool lines = false;  // ... one line after another
    bool begun = false;  // the head is on its way
    bool asked = false;  // for the next part
  };
  enum class Phase : uint8_t {
    kFresh,    // nothing but perhaps the start of a four-letter word has come
    kServing,  // HTTP
    kLast,     // no more requests: the answers in the slots are the last ones
    kEnding,   // everything is written and the client was told; what still comes is thrown away
    kClosed,
  };

  void on_bytes(std::string_view bytes) override;
  void on_end(int why) override;
  void on_written(int status) override;
  void on_secured() override { unsecured_ = false; }
  void on_plain() override;
  void tell_handshake_failed(const std::string& why);
  void take(std::string_view input);
  bool take_word(std::string_view input);
  void parse(std::string_view& input);
  void on_head();
  void on_request();
  // In http_connection_rights.cpp.
  bool is_of_rights() const {
    const ReplyPlan& plan = accepted_->plan;
    return plan.route == Route::kAuth || plan.route == Route::kWhoami || plan.replace_rights;
  }
  bool has_to_be_known() const {
    return shared_.access.mode != AuthMode::kOff || shared_.audit != nullptr || is_of_rights();
  }
  std::optional<HttpResponse> identify(const HttpRequest& request);
  void forget_caller();
  FoundCaller find_caller(std::optional<std::string_view> authorization);
  std::optional<Failed> missing_for_head() const;
  std::optional<HttpResponse> judge_head(std::string& why);
  HttpResponse refused(ErrorCode code, std::string why) const;
  void tell_refused(const char* what, const std::string& why);
  std::optional<HttpResponse> refuse_crowd();
  void leave_crowd();
  bool goes_unaudited(const HttpRequest& request) const;
  void begin_audit(Slot& slot);
  void end_audit(Slot& slot, uint16_t status, Revision revision);
  void end_audits();
  bool is_unknown_by_now();
  HttpResponse refuse_unknown() const;
  HttpResponse whoami() const;
  HttpResponse access_list(const Slot& slot, const StoreAnswer& answer) const;
  bool goes_on_in_vain();

  std::string client_address() const;  // as host:port
  static Kind kind_of(const AcceptedHead& accepted);
  bool has_to_wait() const;
  void refuse(const HttpError& error);
  bool comes_too_slowly(uint64_t now) const;

  Slot& add_slot();
  void begin(Slot& slot, Kind kind);
  void set_done(Slot& slot);
  void ask(Slot& slot, AcceptedHead&& accepted);
  Slot& slot_of(uint32_t sequence);
  void answer(Slot& slot, const StoreAnswer& answer);
  void answer(Slot& slot, const WatchAnswer& answer);
  void add_line(Slot& slot, const ServiceAnswer& answer, bool last);
  void add_messages(Slot& slot, const StoreAnswer& answer);
  void begin_lines(Slot& slot, HttpResponse&& head);
  void end_lines(Slot& slot);
  void report_taken();
  void settle(Slot& slot, HttpResponse&& response);
  void settle_here(Slot& slot, HttpResponse&& response);
  void emit_done();
  void emit(Slot& slot);
  void emit_head(Slot& slot);
  void take_part(Slot& slot, const StoreAnswer& answer, const SnapshotPart& part);
  void emit_part(Slot& slot);
  bool wants_part() const;
  void ask_for_part();
  void resume_soon();
  void begin_restore(AcceptedHead& accepted);
  void take_restore_body();
  void write_restore();
  void drop_restore();
  void last_request();
  void finish();

  bool has_room() const;
  void update_reading();
  void account();
  void mark_dirty();
  uint64_t now_ms() const { return uv_now(shared_.loop); }
  Instant now() const { return Instant(milliseconds(now_ms())); }

  HttpShared& shared_;
  uint32_t number_;
  net::Stream stream_;
  Phase phase_ = Phase::kFresh;
  HttpParser parser_;
  std::unique_ptr<HttpCaller> caller_;            // null: nobody had to be known yet
  std::shared_ptr<const Caller> asks_;            // of the newest request, as far as it is known
  std::string shown_;                             // ... and what did not count, of what it shows
  bool replaces_rights_ = false;                  // as the newest request wants it
  uint64_t stranger_ = 0;                         // its place among them; 0: it is none
  std::string counted_;                           // ... as this user's; empty: as nobody's
  std::optional<AcceptedHead> accepted_;          // its body is being received
  std::optional<HttpResponse> refusal_;           // of the request whose body is being thrown away
  std::string unread_;                            // read from the socket, not parsed yet
  std::unique_ptr<HttpRestore> restore_;          // from the head of its request to its answer
  std::shared_ptr<const Caller> restore_caller_;  // who has asked for it, ...
  std::shared_ptr<const Caller> restorer_;        // ... and in whose name it is written: root's
  uint32_t restore_sequence_ = 0;                 // of its slot, once it is written
  bool restore_writes_ = false;
  bool held_ = false;                    // the parser's request is whole, and not yet in slots_
  std::array<uint32_t, 4> under_way_{};  // slots that are not done, by kind
  Ring<Slot, 2, 16> slots_;              // few are kept: most connections are idle
  uint32_t first_sequence_ = 0;          // of slots_.front()
  HttpOutput output_;
  size_t answer_bytes_ = 0;  // of bodies in done slots
  size_t untaken_ = 0;       // of a stream's lines, since the node was last told what was taken
  size_t accounted_ = 0;
  bool unsecured_ = false;  // its TLS handshake is not over
  bool reading_ = false;
  bool ended_ = false;  // the client sends no more
  bool dirty_ = false;
  bool resumable_ = false;
  uint64_t heard_ms_ = 0;       // last bytes or, between requests, last answer
  bool begun_ = false;          // something has come since the last whole request
  uint64_t begun_ms_ = 0;       // then that, or the end of its head
  uint64_t progressed_ms_ = 0;  // the kernel last took something
  size_t unwritten_ = 0;        // in the kernel's waiting line then
  uint64_t ending_ms_ = 0;
};

}  // namespace kvd
