// The program: flags, then the daemon; or a look at a data directory, its export, one of the clients, what protects
// znodes, or what completes command lines. Nothing else belongs here.
// `kvd --help` lists the flags; src/README.md is the map of everything below.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/completion.hpp"
#include "client/commands.hpp"
#include "client/options.hpp"
#include "client/standard_descriptors.hpp"
#include "shell/daemon.hpp"
#include "shell/data/export.hpp"
#include "shell/data/inspect.hpp"
#include "shell/flags.hpp"
#include "shell/zookeeper/zk_acl_command.hpp"

namespace {

std::vector<std::string> variable_names() {
  std::vector<std::string> names;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view entry = *at;
    names.emplace_back(entry.substr(0, entry.find('=')));
  }
  return names;
}

std::vector<kvd::CommandSpec> specs() {
  std::vector<kvd::CommandSpec> all{kvd::server_spec(), kvd::inspect_spec(), kvd::export_spec()};
  for (kvd::CommandSpec& spec : kvd::client::client_specs()) all.push_back(std::move(spec));
  for (kvd::CommandSpec& spec : kvd::zk_acl_specs()) all.push_back(std::move(spec));
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  kvd::client::open_standard_descriptors();
  auto environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  if (argc > 1 && std::string_view(argv[1]) == "inspect") return kvd::run_inspect({argv + 2, argv + argc});
  if (argc > 1 && std::string_view(argv[1]) == "export") return kvd::run_export({argv + 2, argv + argc});
  if (argc > 1 && std::string_view(argv[1]) == "zookeeper-acl")
    return kvd::run_zk_acl({argv + 2, argv + argc}, environment);
  if (argc > 1 && std::string_view(argv[1]) == "complete") {
    fmt::print("{}", kvd::complete(specs(), {argv + 2, argv + argc}));
    return 0;
  }
  const auto unknown = kvd::unknown_variables(variable_names());
  if (argc > 1 && kvd::client::is_client_command(argv[1])) {
    for (const auto& [name, nearest] : unknown)
      fmt::print(stderr, "kvd: {}: there is no such variable; the nearest is {}\n", name, nearest);
    return kvd::client::run_client_command(argv[1], {argv + 2, argv + argc});
  }
  auto flags = kvd::parse_flags({argv + 1, argv + argc}, environment);
  if (!flags) return kvd::tell(flags.error());
  flags->unknown_variables = unknown;
  return kvd::run_daemon(std::move(*flags));
}
