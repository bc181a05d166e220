// See queue_commands.hpp.
#include "client/queue_commands.hpp"

#include <fmt/format.h>

#include <string>
#include <variant>

#include "base/command_line.hpp"
#include "base/json_writer.hpp"
#include "client/message_commands.hpp"
#include "client/output.hpp"
#include "client/store_client.hpp"

namespace kvd::client {
namespace {

std::string path_of_queue(const std::string& queue, const char* below = "") {
  return path_of_source({MessageSource::Kind::kQueue, queue, ""}, below);
}

struct QueueRun {
  StoreClient& client;

  int operator()(const QueueMakeOptions& make) const {
    JsonWriter json;
    json.begin_object();
    write_delivery(json, make.config);
    write_bounds(json, make.config);
    json.member("order", make.config.fifo ? "fifo" : "priority").end_object();
    StoreRequest request{"PUT", path_of_queue(make.queue)};
    request.body = json.take();
    return print_answered_number(client, request, "revision");
  }

  int operator()(const QueuePurgeOptions& purge) const {
    const StoreRequest request{"DELETE", path_of_queue(purge.queue, "/messages"), "state=" + purge.state};
    const auto purged = client.delete_pages(request, "purged", "messages");
    return purged ? print(fmt::format("{}\n", *purged)) : tell(purged.error());
  }
};

}  // namespace

int run_queue_command(net::Loop& loop, const QueueCommand& command, uint64_t seed) {
  return run_at_store<QueueRun>(loop, command, seed);
}

}  // namespace kvd::client
