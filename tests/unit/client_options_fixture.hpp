// Command lines of the subcommands that are clients, in surroundings that a test makes: those that are good, and those
// that are refused with a reason.
#pragma once
#include <doctest.h>
#include <sysexits.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/options.hpp"

namespace kvd::client_options_test {

using namespace kvd::client;

using Variables = std::map<std::string, std::string>;

inline Result<ClientCommand, CommandEnd> parse(const std::string& name, std::vector<std::string> arguments,
                                               Variables variables = {}) {
  Surroundings surroundings;
  surroundings.host = "box";
  surroundings.process = 17;
  surroundings.variable = [variables](const std::string& variable) -> std::optional<std::string> {
    const auto found = variables.find(variable);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
  return parse_client_command(name, std::move(arguments), surroundings);
}

template <class Options>
Options good(const std::string& name, std::vector<std::string> arguments, Variables variables = {}) {
  auto command = parse(name, std::move(arguments), std::move(variables));
  REQUIRE_MESSAGE(command.has_value(), command.error().text);
  REQUIRE(std::holds_alternative<Options>(*command));
  return std::get<Options>(*command);
}

inline void bad(const std::string& name, std::vector<std::string> arguments, const std::string& start,
                const std::string& remedy, Variables variables = {}, int code = EX_USAGE) {
  CAPTURE(start);
  auto command = parse(name, std::move(arguments), std::move(variables));
  REQUIRE_FALSE(command.has_value());
  const std::string text = command.error().text;
  CAPTURE(text);
  CHECK(command.error().code == code);
  CHECK(text.find(start) == 0);
  CHECK(text.find(remedy) != std::string::npos);
  CHECK(text.find('\n') == std::string::npos);
}

}  // namespace kvd::client_options_test
