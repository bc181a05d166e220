// `kvd lease hold`: a lease that lives as long as this process, or as the command that it runs. Each server that is
// asked with ?hold=1 renews it as long as the connection stands, and ends it when the client closes that. When a server
// fails the next one takes it up, within the time that the last answer promised. Loop thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "client/answers.hpp"
#include "client/child.hpp"
#include "client/deadline.hpp"
#include "client/http_client.hpp"
#include "client/lease_options.hpp"
#include "client/say.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class HeldLease {
 public:
  HeldLease(net::Loop& loop, LeaseHoldOptions options, uint64_t seed);
  HeldLease(const HeldLease&) = delete;
  HeldLease& operator=(const HeldLease&) = delete;

  // Until it is to end, or is lost, and the command is over. The exit code: see `kvd lease hold --help`.
  int run();
  void on_signal(int number);

 private:
  enum class Phase : uint8_t {
    kAsking,    // it was not held yet
    kHeld,      // also while it is taken up at the next server
    kStopping,  // lost, and the command still there
    kEnding,    // the command is over, and the servers are being told
    kDone,
  };
  // One server that was asked. Its connection is not closed while the lease is to live: a server that is merely slow
  // may take it up later, and would end it then.
  struct Try {
    size_t server = 0;
    std::unique_ptr<HttpClient> client;
    std::unique_ptr<HttpCall> call;
    bool held = false;  // it has said so
  };

  void ask();
  void ask_next(const std::string& why);
  void forget(const Try* one);
  void watch_clock();
  void on_tick();
  void on_silence();
  bool promise(const Try* one, int64_t left_ms);  // whether it counts
  bool on_failed(const Try* one, const std::string& why);
  void on_answer(const Try* one, const Response& answer);
  void on_line(Try* one, const std::string& text);
  void on_end(const Try* one, const std::string& why);
  void on_taken_up(Try* one, const LeaseLine& line);
  void on_held(const Try* one, const LeaseLine& line);
  void on_taken(const Try* one);
  void on_lost(const std::string& why);
  void begin();
  void on_child_end(const ChildEnd& end);
  void end_lease(int code);
  void on_ended(const Response& answer);
  void finish(int code, const std::string& line = "");
  std::string target() const;
  std::string said_of(const Try& one, const std::string& why) const;

  net::Loop& loop_;
  LeaseHoldOptions options_;
  Prng prng_;
  Say say_;
  Phase phase_ = Phase::kAsking;
  uint64_t id_;
  uint64_t hold_ = 0;           // the newest take-up's number; 0: it is not known
  Duration ttl_{0};             // 0: not known yet
  size_t server_ = 0;           // that is asked, or was asked last
  size_t failures_ = 0;         // since somebody held it
  bool perhaps_taken_ = false;  // by a request of this process whose answer was lost, since one was answered
  int code_ = 0;
  Deadline promised_;    // until when it certainly lives; not before it is held
  net::Timer patience_;  // with who was asked last
  net::Timer pause_;     // before the next one is asked
  net::Timer tick_;
  Duration seen_;         // since boot: when the clock was watched last
  Duration new_from_{0};  // likewise: what comes before may have waited while this process stood still
  std::vector<std::unique_ptr<Try>> tries_;
  const Try* current_ = nullptr;        // who was asked last, or holds it
  const Try* promiser_ = nullptr;       // whose line promised_ is of, if it is there
  std::unique_ptr<HttpClient> client_;  // to end it
  std::unique_ptr<HttpCall> end_;
  uint64_t ending_ = 0;  // the take-up that it names
  std::unique_ptr<Child> child_;
};

}  // namespace kvd::client
