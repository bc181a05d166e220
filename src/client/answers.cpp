// See answers.hpp.
#include "client/answers.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "base/base64.hpp"

namespace kvd::client {
namespace {

namespace dom = simdjson::dom;

// Members of one JSON object; what is missing or of another type reads as nothing.
class Members {
 public:
  explicit Members(std::string_view json) {
    dom::element root;
    good_ = parser_.parse(json.data(), json.size()).get(root) == simdjson::SUCCESS &&
            root.get(object_) == simdjson::SUCCESS;
  }
  bool good() const { return good_; }

  std::string text(std::string_view name) const {
    std::string_view found;
    return object_[name].get(found) == simdjson::SUCCESS ? std::string(found) : "";
  }
  bool number(std::string_view name, uint64_t& to) const {
    return object_[name].get(to) == simdjson::SUCCESS;
  }
  // Whether there is such a member that is true or false, and which.
  bool flag(std::string_view name, bool& to) const { return object_[name].get(to) == simdjson::SUCCESS; }

 private:
  dom::parser parser_;
  dom::object object_;
  bool good_ = false;
};

auto no_object(std::string_view text) {
  return failure(fmt::format("'{}' is no JSON object", text.substr(0, 80)));
}

// Bytes from outside on a terminal or in a log: one line, and nothing that a terminal obeys.
std::string printable(std::string_view text) {
  constexpr size_t kMost = 500;
  std::string out(text.substr(0, kMost));
  const auto control = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  std::replace_if(out.begin(), out.end(), control, ' ');
  return out;
}

}  // namespace

Result<GrantLine> parse_grant_line(std::string_view line) {
  const Members members(line);
  if (!members.good()) return no_object(line);
  GrantLine out;
  const std::string state = members.text("state");
  bool leading = false;
  const bool election = members.flag("leading", leading);
  if (state == "lost") {
    out.kind = GrantLine::Kind::kLost;
    out.reason = printable(members.text("reason"));
  } else if (state == "timeout") {
    out.kind = GrantLine::Kind::kTimeout;
  } else if (state == "held" || (election && leading)) {
    out.kind = GrantLine::Kind::kHeld;
    if (!members.number("fence", out.fence)) return failure("a grant without a fence");
  } else if (state == "waiting" || election) {
    out.kind = GrantLine::Kind::kWaiting;
  }
  return out;
}

Result<WorkerLine> parse_worker_line(std::string_view line) {
  const Members members(line);
  if (!members.good()) return no_object(line);
  const std::string state = members.text("state");
  const std::string worker = members.text("worker");
  if (state == "lost") return WorkerLine{WorkerLine::Kind::kLost, printable(members.text("reason"))};
  if (state == "cancel") return WorkerLine{WorkerLine::Kind::kCancel, members.text("id")};
  if (!worker.empty()) return WorkerLine{WorkerLine::Kind::kRegistered, worker};
  return WorkerLine{};
}

Result<Task> parse_task(std::string_view json) {
  const Members members(json);
  if (!members.good()) return no_object(json);
  Task task;
  task.id = members.text("id");
  task.kind = members.text("kind");
  if (task.id.empty() || task.id.find('\0') != std::string::npos) return failure("a task without an id");
  if (task.kind.find('\0') != std::string::npos) return failure("a task whose kind holds a NUL");
  if (!members.number("attempt", task.attempt) || !members.number("fence", task.fence))
    return failure("a task without its attempt and fence");
  task.data = members.text("data");
  const std::string encoded = members.text("data_b64");
  if (encoded.empty()) return task;
  const auto decoded = base64_decode(encoded);
  if (!decoded) return failure("a task whose data_b64 is no base64");
  task.data = *decoded;
  return task;
}

std::string problem_text(int status, std::string_view body) {
  const Members members(body);
  std::string words = members.good() ? members.text("detail") : "";
  if (words.empty() && members.good()) words = members.text("title");
  return fmt::format("the server says {}{}{}", status, words.empty() ? "" : ": ", printable(words));
}

}  // namespace kvd::client
