// kvd queue work, kvd topic work: receives one message of a queue or a subscription at a time, runs a command for it,
// and tells the server whether it is done. While the command runs the message's time is extended. A command is ended
// before its message can be granted to another one. Loop thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/answers.hpp"
#include "client/child.hpp"
#include "client/deadline.hpp"
#include "client/http_client.hpp"
#include "client/message_options.hpp"
#include "client/say.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class MessageWorker {
 public:
  MessageWorker(net::Loop& loop, MessageWorkOptions options, uint64_t seed);
  MessageWorker(const MessageWorker&) = delete;
  MessageWorker& operator=(const MessageWorker&) = delete;

  // Until it is asked to end, or refused. The exit code: see --help of each.
  int run();
  void on_signal(int number);

 private:
  // What becomes of the message when its command has ended.
  enum class Fate : uint8_t {
    kByCode,    // as the exit code says
    kReleased,  // the command was stopped, since this program is to end
    kLost,      // likewise, since the message is another's, or may be
  };

  std::unique_ptr<HttpCall> ask(std::string method, std::string path, std::string body, HttpEvents events,
                                uint64_t until = 0);
  void next();
  void learn();
  void on_learned(const Response& answer);
  void receive();
  void on_received(const Response& answer);
  bool is_refused(const Response& answer);
  void on_message();
  void promise(Duration asked);
  void run_command();
  void on_command_end(const ChildEnd& end);
  void extend();
  void on_extended(const Response& answer);
  void watch_clock();
  void lose(const std::string& why);
  void settle(std::string_view verb, const std::string& reason = "");
  void on_settled(std::string_view verb, const Response& answer);
  void forget_message();
  void stop();
  void finish(int code, const std::string& line = "");
  std::string about_message(const std::string& what) const;
  Duration patience() const;

  net::Loop& loop_;
  MessageWorkOptions options_;
  HttpClient client_;
  Say say_;
  Duration ttr_{0};    // how long a message is ours without an extension; 0: not known
  Duration asked_{0};  // since boot: when the newest request was sent
  bool draining_ = false;
  int code_ = 0;
  std::optional<QueueMessage> message_;
  Fate fate_ = Fate::kByCode;
  std::unique_ptr<HttpCall> call_;  // for the source, a message, or what becomes of it
  std::unique_ptr<HttpCall> extension_;
  std::unique_ptr<Child> child_;
  Deadline promised_;  // by then the command has to be asked to end
  net::Timer extend_at_;
  net::Timer tick_;  // while there is a command
  net::Timer again_;
  net::Timer hurry_;  // after it the command is stopped, or no answer is waited for any more
};

}  // namespace kvd::client
