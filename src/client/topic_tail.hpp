// kvd topic tail: prints the messages of a topic as they come, and goes on at another server where one has ended,
// behind the last one, without printing any twice. Loop thread only.
#pragma once
#include <cstdint>
#include <string>

#include "client/stream_command.hpp"
#include "client/topic_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class TopicTail final : public StreamCommand {
 public:
  TopicTail(net::Loop& loop, TopicTailOptions options, uint64_t seed);

 private:
  std::string target() const override;
  void on_head(const Response& head) override;
  void on_answer(const Response& answer) override;
  void on_line(const std::string& text) override;
  bool move_on(const std::string& id);

  TopicTailOptions options_;  // `from` moves on with what has come
};

}  // namespace kvd::client
