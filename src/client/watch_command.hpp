// kvd watch: prints what changes, and goes on at another server where one has ended, without a gap and without telling
// anything twice. Loop thread only.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "client/answers.hpp"
#include "client/store_options.hpp"
#include "client/stream_command.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class WatchCommand final : public StreamCommand {
 public:
  WatchCommand(net::Loop& loop, WatchOptions options, uint64_t seed);

 private:
  std::string target() const override;
  void on_head(const Response& head) override;
  void on_answer(const Response& answer) override;
  void on_line(const std::string& text) override;
  void on_change(const WatchedLine& line, const std::string& text);
  void on_gone(const WatchedLine& line);
  std::string printed(const WatchedLine& line, const std::string& text) const;

  WatchOptions options_;
  std::optional<uint64_t> since_;  // from where the next server goes on
  bool in_state_ = false;          // a part of the state was printed, and not its end
  std::string held_;               // lines of one revision, whose last one has not come
  size_t refused_ = 0;  // servers, one after the other, whose history does not reach back to since_
};

}  // namespace kvd::client
