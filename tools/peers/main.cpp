// queue_peers' entry: reads the command line, works, and prints what came of it. drive.hpp has the work, session.hpp the
// protocols. Exit codes are sysexits, and 1 when a message was lost.
#include <fmt/format.h>
#include <signal.h>

#include "client/standard_descriptors.hpp"
#include "peers/drive.hpp"

int main(int argc, char** argv) {
  kvd::client::open_standard_descriptors();
  signal(SIGPIPE, SIG_IGN);
  const auto options = kvd::peers::parse_peer_options({argv + 1, argv + argc});
  if (!options) return kvd::tell(options.error(), "queue_peers");
  const kvd::peers::PeerReport report = kvd::peers::drive(*options);
  fmt::print("{}", kvd::peers::peer_json(*options, report));
  if (!report.unmeasured.empty()) fmt::print(stderr, "queue_peers: {}\n", report.unmeasured);
  return report.exit_code();
}
