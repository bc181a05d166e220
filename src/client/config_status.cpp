// See config_status.hpp.
#include "client/config_status.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <optional>
#include <string>
#include <utility>

#include "base/command_line.hpp"
#include "client/config_record.hpp"
#include "client/config_stream.hpp"
#include "client/output.hpp"
#include "client/store_client.hpp"

namespace kvd::client {
namespace {

constexpr int kNotAllWell = 1;
constexpr Duration kAskLeader = milliseconds(100);

// What there is, up to all that was acknowledged when a server asked the leader; or why nobody tells it in time.
Result<ConfigStatus, CommandEnd> read_configuration(net::Loop& loop, const ConfigStatusOptions& options,
                                                    uint64_t seed) {
  HttpClient client(loop.get(), options.access.servers, seed);
  CommandEnd end{EX_UNAVAILABLE, "no server has told the newest configuration in time"};
  std::optional<ConfigStatus> status;
  std::optional<ConfigStream> stream;
  ConfigStreamEvents events;
  events.on_news = [&] {
    const ConfigMirror& mirror = stream->mirror();
    if (!mirror.is_whole() || !mirror.confirmed()) return;
    status = ConfigStatus{options.prefix, name_of(mirror.set()), mirror.set().size(), {}};
    for (const auto& [node, json] : mirror.records()) {
      ConfigNode& added = status->nodes.emplace_back();
      added.name = node;
      auto record = parse_config_record(json);
      record ? void(added.record = std::move(*record)) : void(added.record.problem = record.error().detail);
    }
    loop.stop();
  };
  events.on_refused = [&](const std::string& why) {
    end = CommandEnd{EX_DATAERR, why};
    loop.stop();
  };
  events.on_all_away = [&](const std::string& why) { end.text += ": " + why; };
  stream.emplace(loop, client, options.prefix, options.access.servers.size(), kAskLeader, std::move(events));
  net::Timer deadline(loop.get(), [&] { loop.stop(); });
  deadline.start(options.access.timeout);
  loop.run();
  if (status) return std::move(*status);
  return Failure<CommandEnd>(std::move(end));
}

}  // namespace

int run_config_status(net::Loop& loop, const ConfigStatusOptions& options, uint64_t seed) {
  auto status = read_configuration(loop, options, seed);
  if (!status) return tell(status.error());
  StoreClient client(loop, options.access, seed);
  for (ConfigNode& node : status->nodes) {
    if (node.record.lease == 0) continue;
    const auto answer = client.ask({"GET", fmt::format("/v1/leases/{}", node.record.lease), "read=linear"});
    node.alive = answer.has_value();
    if (!answer && answer.error().code != kNotAllWell) return tell(answer.error());  // 410 has this code
  }
  const int code = is_all_well(*status) ? EX_OK : kNotAllWell;
  return print(options.json ? status_json(*status) : status_text(*status), code);
}

}  // namespace kvd::client
