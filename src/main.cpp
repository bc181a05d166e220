// The program: flags, then the daemon. Nothing else belongs here. `kvd --help` lists the flags; src/README.md
// is the map of everything below.
#include <fmt/format.h>

#include <cstdlib>

#include "shell/daemon.hpp"

int main(int argc, char** argv) {
  auto environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  auto flags = kvd::parse_flags({argv + 1, argv + argc}, environment);
  if (flags) return kvd::run_daemon(*flags);
  if (flags.error().code == 0) {
    fmt::print("{}", flags.error().text);
  } else {
    fmt::print(stderr, "kvd: {}\n", flags.error().text);
  }
  return flags.error().code;
}
