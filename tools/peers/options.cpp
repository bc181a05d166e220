// See options.hpp.
#include "peers/options.hpp"

#include "kvload/queue_text.hpp"

namespace kvd::peers {
namespace {

constexpr int64_t kConnectionsMax = 1000;
constexpr int64_t kBatchMax = 1000;
constexpr int64_t kBytesMax = 32'000;  // of all peers the smallest is beanstalkd's, 65,535

constexpr char kNotes[] =
    "Makes a queue of its own, works on it as `kvload queue` works on those of kvd, empties it and deletes "
    "it. The\n"
    "result is one JSON object on stdout.\n"
    "Exit codes: 0; 1 a message was lost, or one came that nobody sent; 64 the command line; 69 nothing was "
    "measured.";

CommandSpec peer_spec() {
  return {
      "queue_peers",
      "[OPTIONS]",
      "Sends, receives and acknowledges messages at a message queue that is not kvd.",
      {{"peer", "beanstalkd|redis|nats|rabbitmq", "whose protocol is spoken (beanstalkd)"},
       {"servers", "HOST:PORT,...", "which connections take in turn (127.0.0.1:11300)"},
       {"producers", "N", "connections that send (32)"},
       {"consumers", "N", "connections that receive and acknowledge (32)"},
       {"rate", "N", "open loop: messages per second, latency from the intended start; 0: closed loop (0)"},
       {"batch", "N", "messages that are sent together, or received (1)"},
       {"size", "BYTES", "of each message (100)"},
       {"copies", "N", "Redis: servers that have a write before it counts; NATS: of the queue (1)"},
       {"files", nullptr, "NATS: keep the queue in files"},
       {"topic", nullptr, "Redis, NATS: messages stay when they are acknowledged, as in a topic"},
       {"duration", "S", "seconds (10)"}},
      kNotes};
}

size_t count_in(CommandLine& line, const char* flag, size_t otherwise, int64_t low, int64_t high) {
  return static_cast<size_t>(line.number(flag, static_cast<int64_t>(otherwise), low, high));
}

}  // namespace

Result<PeerOptions, CommandEnd> parse_peer_options(const std::vector<std::string>& arguments) {
  auto line = CommandLine::parse(peer_spec(), arguments);
  if (!line) return Failure<CommandEnd>(std::move(line.error()));
  PeerOptions options;
  options.peer_name = line->text("peer", "beanstalkd");
  options.peer = static_cast<Peer>(line->choice("peer", options.peer_name));
  options.servers = line->list("servers", "127.0.0.1:11300");
  options.producers = count_in(*line, "producers", options.producers, 1, kConnectionsMax);
  options.consumers = count_in(*line, "consumers", options.consumers, 1, kConnectionsMax);
  options.rate = line->real("rate", options.rate, 0, 1e7);
  options.batch = count_in(*line, "batch", options.batch, 1, kBatchMax);
  options.bytes = count_in(*line, "size", options.bytes, load::kMessageBytesMin, kBytesMax);
  options.copies = count_in(*line, "copies", options.copies, 1, 5);
  options.files = line->is_on("files");
  options.topic = line->is_on("topic");
  if (options.topic && options.peer != Peer::kRedis && options.peer != Peer::kNats)
    line->complain("topic", "only Redis and NATS have something like topics");
  options.seconds = line->real("duration", options.seconds, 0.1, 3600);
  if (line->end()) return Failure<CommandEnd>(*line->end());
  return options;
}

}  // namespace kvd::peers
