// A call of the coordination services as the service router hands it on: read by the table of calls (calls.hpp), so
// that nothing in it is left to be parsed or checked for its form.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "msg/services.hpp"

namespace kvd {

// calls.hpp lists both. They are only declared here, so that another call is no reason to compile everything anew.
enum class CallName : uint8_t;
enum class Parameter : uint8_t;

struct Argument {
  Parameter parameter{};
  uint64_t number = 0;  // also a flag: 0 or 1
  std::string text;
};

struct TypedCall {
  CallName name{};
  Collection collection = Collection::kSessions;
  // What the path names: a znode as an absolute path, a pool, a task, a worker, a host's name, a session. What else it
  // says is in `name` and `id`.
  std::string path;
  uint32_t id = 0;  // of a pool
  std::string body;
  std::string user;                 // on whose behalf; empty: rights do not count
  std::vector<Argument> arguments;  // what was given, and what is usual for what was not

  std::optional<uint64_t> number(Parameter parameter) const;
  bool flag(Parameter parameter) const { return number(parameter).value_or(0) != 0; }
  std::optional<std::string> text(Parameter parameter) const;
};

}  // namespace kvd
