// kvload's entry: reads the command line and hands over to one command. See options.hpp for what there is; exit codes
// are sysexits, and 1 when verify, watch, terms, queue or topic has found something wrong.
#include <signal.h>

#include "client/standard_descriptors.hpp"
#include "kvload/bare_server.hpp"
#include "kvload/delay_proxy.hpp"
#include "kvload/election.hpp"
#include "kvload/expiry_load.hpp"
#include "kvload/options.hpp"
#include "kvload/queue_load.hpp"
#include "kvload/run_command.hpp"
#include "kvload/topic_load.hpp"
#include "kvload/verify.hpp"
#include "kvload/watch_load.hpp"

namespace {

struct Execute {
  int operator()(const kvd::load::RunOptions& options) const { return run_command(options); }
  int operator()(const kvd::load::VerifyOptions& options) const { return verify_command(options); }
  int operator()(const kvd::load::WatchOptions& options) const { return watch_command(options); }
  int operator()(const kvd::load::TermsOptions& options) const { return terms_command(options); }
  int operator()(const kvd::load::QueueOptions& options) const { return queue_command(options); }
  int operator()(const kvd::load::TopicOptions& options) const { return topic_command(options); }
  int operator()(const kvd::load::ElectionOptions& options) const { return election_command(options); }
  int operator()(const kvd::load::BareServerOptions& options) const { return bare_server(options); }
  int operator()(const kvd::load::DelayProxyOptions& options) const { return delay_proxy(options); }
};

}  // namespace

int main(int argc, char** argv) {
  kvd::client::open_standard_descriptors();
  signal(SIGPIPE, SIG_IGN);
  const auto command = kvd::load::parse_options({argv + 1, argv + argc});
  return command ? std::visit(Execute(), *command) : kvd::tell(command.error(), "kvload");
}
