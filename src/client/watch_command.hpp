// kvd watch: prints what changes, and goes on at another server where one has ended, without a gap and without telling
// anything twice. Loop thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "client/answers.hpp"
#include "client/http_client.hpp"
#include "client/say.hpp"
#include "client/store_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class WatchCommand {
 public:
  WatchCommand(net::Loop& loop, WatchOptions options, uint64_t seed);

  int run();  // the exit code
  void on_signal() { finish(0); }

 private:
  std::string target() const;
  void ask();
  void finish(int code);
  void on_head(const Response& head);
  void on_answer(const Response& answer);
  void on_line(const std::string& text);
  void on_change(const WatchedLine& line, const std::string& text);
  void on_gone(const WatchedLine& line);
  void try_on(const std::string& why);
  void put_out(const std::string& lines);
  std::string printed(const WatchedLine& line, const std::string& text) const;

  net::Loop& loop_;
  WatchOptions options_;
  HttpClient client_;
  net::Timer look_;
  std::unique_ptr<HttpCall> call_;
  Say say_;
  std::optional<uint64_t> since_;  // from where the next server goes on
  bool in_state_ = false;          // a part of the state was printed, and not its end
  std::string held_;               // lines of one revision, whose last one has not come
  size_t refused_ = 0;  // servers, one after the other, whose history does not reach back to since_
  int code_ = 0;
};

}  // namespace kvd::client
