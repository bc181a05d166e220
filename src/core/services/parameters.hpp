// The parameters of one call, taken out one by one; what is left at the end nobody knows. The first thing that is wrong
// stays, as a sentence for the client.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "msg/services.hpp"

namespace kvd {

class Parameters {
 public:
  explicit Parameters(ServiceCall& call) : call_(call) {}

  // Takes it out of the call; nothing: it was not given.
  std::optional<std::string> text(std::string_view name);
  // Decimal, `least` to `most`.
  std::optional<uint64_t> number(std::string_view name, uint64_t least, uint64_t most);
  // "1" or "true"; not given, "0" or "false": no.
  bool flag(std::string_view name);

  // Empty: all is well so far.
  const std::string& problem() const { return problem_; }
  // That, or that something is left.
  std::string finish();

 private:
  void fail(std::string problem);

  ServiceCall& call_;
  std::string problem_;
};

// What is wrong with the path of a call whose collection's paths are those of znodes, without the slash at the
// beginning: none of kvd's own.
struct PathProblem {
  ServiceStatus status = ServiceStatus::kOk;
  std::string detail;
  explicit operator bool() const { return refuses(status); }
};
PathProblem problem_of_path(std::string_view path);

// What is wrong with the name as which a client holds something: others read it in ZooKeeper, and expect a text.
std::string problem_of_holder_name(std::string_view name);

// `bytes` as a member, or as `name`_b64 when they are no plain text that JSON can hold as it is.
class JsonWriter;
void text_member(JsonWriter& json, std::string_view name, std::string_view bytes);

}  // namespace kvd
