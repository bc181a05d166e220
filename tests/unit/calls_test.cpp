// The table of calls: each row is read as it says, at the edges of its ranges and beyond; and the manual says what the
// table says, on the page that lists all calls and in the tables of calls on the others.
#include "msg/calls.hpp"

#include <doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "msg/limits.hpp"
#include "msg/name_rules.hpp"

using namespace kvd;

namespace {

const CallRow& row_of(CallName name) {
  return *std::ranges::find_if(all_calls(), [&](const CallRow& row) { return row.name == name; });
}

std::string sample_path(PathShape shape) {
  std::string path(path_text(shape));
  if (!path.empty()) path.erase(0, 1);
  std::ranges::transform(path, path.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  if (shape == PathShape::kPoolId) path = "pool/7";
  return path;
}

std::string sample_value(const ParameterRow& row) {
  if (row.type == ParameterType::kNumber) return std::to_string(row.least);
  if (row.type == ParameterType::kFlag) return "1";
  return row.type == ParameterType::kWord ? std::string(row.words[0]) : "a";
}

void give(ServiceCall& call, std::string_view name, std::string value) {
  std::erase_if(call.parameters, [&](const NamedText& one) { return one.name == name; });
  call.parameters.push_back({std::string(name), std::move(value)});
  std::ranges::sort(call.parameters);
}

void take_away(ServiceCall& call, std::string_view name) {
  std::erase_if(call.parameters, [&](const NamedText& one) { return one.name == name; });
}

// With what it has to have, and no more.
ServiceCall sample(const CallRow& row) {
  ServiceCall call{row.collection, row.verb, sample_path(row.path), {}, ""};
  for (const ParameterRow& parameter : row.parameters)
    if (parameter.missing != nullptr)
      give(call, parameter_name(parameter.parameter), sample_value(parameter));
  if (row.when.value != 0) {
    const ParameterRow& selects = *row.find(parameter_name(row.when.parameter));
    const bool flag = selects.type == ParameterType::kFlag;
    give(call, parameter_name(row.when.parameter), flag ? "1" : std::string(selects.words[row.when.value]));
  }
  if (row.held_by == HeldBy::kSession || row.held_by == HeldBy::kSessionOrFence ||
      row.held_by == HeldBy::kEither)
    give(call, "session", "s");
  if (row.held_by == HeldBy::kConnection) give(call, "hold", "1");
  return call;
}

std::string refusal_of(const ServiceCall& call) {
  const auto read = read_call(call);
  return read ? "" : read.error().why;
}

std::string refusal_with(const ServiceCall& call, std::string_view name, std::string value) {
  ServiceCall other = call;
  give(other, name, std::move(value));
  return refusal_of(other);
}

}  // namespace

TEST_CASE("calls: every row is what its sample is read as") {
  std::set<CallName> names;
  for (const CallRow& row : all_calls()) {
    const ServiceCall call = sample(row);
    CAPTURE(row.help);
    CHECK(names.insert(row.name).second);
    CHECK(refusal_of(call) == "");
    const auto read = read_call(call);
    REQUIRE(read);
    CHECK(read->call.name == row.name);
    CHECK(read->call.collection == row.collection);
    CHECK(refusal_with(call, "what", "1") == "the query parameter 'what' is not known here");
  }
}

TEST_CASE("calls: parameters have their type and their range, and come out with their value") {
  for (const CallRow& row : all_calls()) {
    ServiceCall call = sample(row);
    for (const ParameterRow& parameter : row.parameters) {
      if (parameter.type == ParameterType::kNone) break;
      const std::string name(parameter_name(parameter.parameter));
      CAPTURE(name);
      CAPTURE(row.help);
      if (parameter.missing != nullptr) {
        ServiceCall without = call;
        take_away(without, name);
        CHECK(refusal_of(without) == fmt::format("the query parameter '{}' {}", name, parameter.missing));
      }
      if (parameter.type == ParameterType::kNumber) {
        const std::string range = fmt::format("the query parameter '{}' has to be a number from {} to {}",
                                              name, parameter.least, parameter.most);
        for (const uint64_t number : {parameter.least, parameter.most}) {
          ServiceCall given = call;
          give(given, name, std::to_string(number));
          const auto read = read_call(given);
          REQUIRE(read);
          CHECK(read->call.number(parameter.parameter) == number);
        }
        if (parameter.missing == nullptr)
          CHECK(read_call(call)->call.number(parameter.parameter) == parameter.usual);
        if (parameter.least > 0)
          CHECK(refusal_with(call, name, std::to_string(parameter.least - 1)) == range);
        for (const std::string& wrong : {std::to_string(parameter.most + 1), std::string("x"),
                                         std::string("1x"), std::string("-1"), std::string()})
          CHECK(refusal_with(call, name, wrong) == range);
      } else if (parameter.type == ParameterType::kFlag) {
        CHECK(refusal_with(call, name, "2") ==
              fmt::format("the query parameter '{}' has to be 1 or 0", name));
        CHECK(refusal_with(call, name, "") == fmt::format("the query parameter '{}' has to be 1 or 0", name));
      } else if (parameter.type == ParameterType::kWord) {
        CHECK(
            refusal_with(call, name, "x").find(fmt::format("'{}' has to be {}", name, parameter.words[0])) !=
            std::string::npos);
      } else if (parameter.type == ParameterType::kHolderName) {
        CHECK(refusal_with(call, name, std::string(kHolderNameBytes, 'x')) == "");
        CHECK(refusal_with(call, name, std::string(kHolderNameBytes + 1, 'x')) != "");
        CHECK(refusal_with(call, name, "") != "");
      } else {
        CHECK(refusal_with(call, name, std::string(kNameBodyBytes, 'x')) != "");
      }
    }
  }
}

TEST_CASE("calls: who names a session, who holds, and who waits") {
  for (const CallRow& row : all_calls()) {
    CAPTURE(row.help);
    ServiceCall call = sample(row);
    take_away(call, "session");
    take_away(call, "hold");
    const bool alone = row.held_by == HeldBy::kAnybody || row.held_by == HeldBy::kNobody;
    const bool holds = row.held_by == HeldBy::kConnection || row.held_by == HeldBy::kEither;
    CHECK(refusal_of(call).empty() == alone);
    CHECK(refusal_with(call, "hold", "1").empty() == holds);
    CHECK(refusal_with(call, "hold", "2") == "the query parameter 'hold' has to be 1 or 0");
    const bool names = row.held_by != HeldBy::kNobody && row.held_by != HeldBy::kConnection;
    CHECK(refusal_with(call, "session", "s").empty() == names);
    const ServiceCall whole = sample(row);
    const bool refuses = row.waits == Waits::kRefuses;
    CHECK(refusal_with(whole, "wait", "0") == "");
    CHECK(refusal_with(whole, "wait", "600000").empty() == !refuses);
    CHECK(refusal_with(whole, "wait", "600001") ==
          "the query parameter 'wait' has to be a number from 0 to 600000");
  }
  ServiceCall both = sample(row_of(CallName::kTakeLock));
  CHECK(refusal_with(both, "hold", "1") == "'hold' and 'session' exclude each other");
  const auto read = read_call(sample(row_of(CallName::kHoldName)));
  REQUIRE(read);
  CHECK((read->hold && !read->session && !read->wait_ms));
  ServiceCall done = sample(row_of(CallName::kFinishEntry));
  take_away(done, "session");
  CHECK(refusal_of(done) ==
        "the query parameter 'session' has to name whose entry it is, or 'fence' what a connection holds");
  CHECK(refusal_with(done, "fence", "7") == "");
}

TEST_CASE("calls: a body has its limit") {
  const auto status = [](CallName name, size_t bytes, char content = 'x') {
    ServiceCall call = sample(row_of(name));
    call.body = std::string(bytes, content);
    const auto read = read_call(call);
    return read ? ServiceStatus::kOk : read.error().status;
  };
  CHECK(status(CallName::kPutName, kNameBodyBytes) == ServiceStatus::kOk);
  CHECK(status(CallName::kPutName, kNameBodyBytes + 1) == ServiceStatus::kTooLarge);
  CHECK(status(CallName::kPutResult, limits::kTaskBytes) == ServiceStatus::kOk);
  CHECK(status(CallName::kPutResult, limits::kTaskBytes + 1) == ServiceStatus::kTooLarge);
  CHECK(status(CallName::kPutProgress, limits::kTaskProgressBytes) == ServiceStatus::kOk);
  CHECK(status(CallName::kPutProgress, limits::kTaskProgressBytes + 1) == ServiceStatus::kInvalid);
  CHECK(status(CallName::kPutProgress, 1, '\xff') == ServiceStatus::kInvalid);
  CHECK(status(CallName::kPutEntry, limits::kEntryBytes) == ServiceStatus::kOk);
  CHECK(status(CallName::kPutEntry, limits::kEntryBytes + 1) == ServiceStatus::kTooLarge);
  const size_t path = sample_path(PathShape::kNewZnode).size() + 1;
  CHECK(status(CallName::kSetZnode, limits::kZkData - path) == ServiceStatus::kOk);
  CHECK(status(CallName::kSetZnode, limits::kZkData - path + 1) == ServiceStatus::kTooLarge);
  CHECK(status(CallName::kCreateZnode, limits::kZkData - path - 10) == ServiceStatus::kOk);
  CHECK(status(CallName::kCreateZnode, limits::kZkData - path - 9) == ServiceStatus::kTooLarge);
}

TEST_CASE("calls: paths, and what stands there") {
  const auto read = [](Verb verb, Collection collection, std::string path) {
    const auto one = read_call({collection, verb, std::move(path), {{"session", "s"}, {"size", "1"}}, ""});
    return one ? fmt::format("{} {}", one->call.path, one->call.id)
               : fmt::format("{}: {}", service_status_name(one.error().status), one.error().why);
  };
  using enum Collection;
  using enum Verb;
  CHECK(read(kPost, kBarriers, "a/b/enter") == "/a/b 0");
  CHECK(read(kPost, kBarriers, "a") == "invalid: a POST goes to PATH/enter or PATH/leave");
  CHECK(read_call({kIds, kDelete, "p/17", {{"session", "s"}}, ""})->call.id == 17);
  CHECK(read_call({kIds, kDelete, "p/17", {{"session", "s"}}, ""})->call.path == "p");
  CHECK(read(kDelete, kIds, "p") == "wrong_verb: GET, HEAD, POST");
  CHECK(read(kPost, kIds, "p/1") == "wrong_verb: PUT, DELETE");
  CHECK(read(kPut, kLocks, "a") == "wrong_verb: GET, HEAD, POST, DELETE");
  CHECK(read(kPost, kHosts, "") == "wrong_verb: GET, HEAD");
  CHECK(read(kGet, kHosts, "a").starts_with("not_found: nothing is below /v1/hosts"));
  CHECK(read(kGet, kTasks, "t/x") == "not_found: a task has a 'result' and a 'progress'");
  CHECK(read(kPost, kWorkers, "w") == "not_found: a worker has a 'next'");
  CHECK(read_call({kZkQueues, kDelete, "a/b/entry", {{"session", "s"}}, ""})->call.path == "/a/b/entry");
  CHECK(read(kDelete, kZkQueues, "a") == "wrong_verb: GET, HEAD, POST");
  CHECK(read_call({kZkQueues, kPost, "a/take", {}, ""})->call.name == CallName::kTakeEntry);
  CHECK(read_call({kZkQueues, kPost, "a/take", {}, ""})->call.path == "/a");
  CHECK(read(kDelete, kLocks, "kvd/x") == "forbidden: /kvd is not for clients");
  CHECK(read(kDelete, kLocks, "").starts_with("invalid: the path has to be one of znodes"));
  CHECK(read_call({kZnodes, kGet, "", {}, ""})->call.path == "/");
  CHECK(read_call({kNames, kGet, "", {{"recurse", "true"}}, ""})->call.name == CallName::kListNames);
  CHECK(allowed_verbs(kHosts, "a") == "GET, HEAD");
  CHECK(allowed_verbs(kSessions, "s") == "GET, HEAD, PUT, DELETE");
}

// ---- the manual ----

namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string value_text(const ParameterRow& row) {
  switch (row.type) {
    case ParameterType::kNumber:
      return fmt::format("is {} to {}{}", row.least, row.most,
                         row.usual ? fmt::format(", by default {}", *row.usual) : "");
    case ParameterType::kFlag:
      return "is 1 or 0";
    case ParameterType::kWord:
      return fmt::format("is `{}`, by default `{}`",
                         fmt::join(row.words.begin(), std::ranges::find(row.words, ""), "` or `"),
                         row.words[0]);
    case ParameterType::kHolderName:
      return fmt::format("is a text of 1 to {} bytes", kHolderNameBytes);
    case ParameterType::kWorkerName:
      return fmt::format("is one part of a path, of 1 to {} bytes", kTaskNameBytes);
    case ParameterType::kTaskKind:
      return fmt::format("is a text of at most {} bytes", kTaskKindBytes);
    case ParameterType::kZone:
      return "is a name, or empty";
    case ParameterType::kNone:
      break;
  }
  return "?";
}

std::string needs_text(const CallRow& row) {
  std::string text;
  if (row.held_by == HeldBy::kSession) text = " It needs `session`.";
  if (row.held_by == HeldBy::kSessionOrFence) text = " It needs `session` or `fence`.";
  if (row.held_by == HeldBy::kConnection) text = " It needs `hold`.";
  if (row.held_by == HeldBy::kEither) text = " It needs `session` or `hold`.";
  if (row.held_by == HeldBy::kNobody) text = " It takes neither `session` nor `hold`.";
  return text + (row.waits == Waits::kYes ? " It may wait." : "");
}

std::string body_text(BodyKind body) {
  switch (body) {
    case BodyKind::kNone:
      return "";
    case BodyKind::kName:
      return fmt::format(" Its body is JSON of at most {} bytes.", kNameBodyBytes);
    case BodyKind::kTask:
      return fmt::format(" Its body has at most {} bytes.", limits::kTaskBytes);
    case BodyKind::kProgress:
      return fmt::format(" Its body is a text of at most {} bytes.", limits::kTaskProgressBytes);
    case BodyKind::kZnode:
      return fmt::format(" Its body has at most {} bytes together with the path.", limits::kZkData);
    case BodyKind::kEntry:
      return fmt::format(" Its body has at most {} bytes.", limits::kEntryBytes);
  }
  return "?";
}

std::string call_text(const CallRow& row) {
  std::string text =
      fmt::format("{} /v1/{}{}", verb_name(row.verb), collection_name(row.collection), path_text(row.path));
  if (row.when.value == 0) return text;
  const ParameterRow& selects = *row.find(parameter_name(row.when.parameter));
  const bool flag = selects.type == ParameterType::kFlag;
  return fmt::format("{}?{}={}", text, parameter_name(row.when.parameter),
                     flag ? "1" : selects.words[row.when.value]);
}

std::string list_of_calls() {
  std::string text;
  std::string_view section;
  for (const CallRow& row : all_calls()) {
    if (section != collection_name(row.collection)) {
      section = collection_name(row.collection);
      text += fmt::format("\n## /v1/{}\n\n", section);
    }
    text += fmt::format("- `{}` {}.{}{}\n", call_text(row), row.help, needs_text(row), body_text(row.body));
    for (const ParameterRow& parameter : row.parameters) {
      const bool selects = row.when.value != 0 && parameter.parameter == row.when.parameter;
      if (parameter.type == ParameterType::kNone || selects) continue;
      text += fmt::format("  - `{}` {}{}: {}.\n", parameter_name(parameter.parameter),
                          parameter.missing != nullptr ? "has to be given and " : "", value_text(parameter),
                          parameter.help);
    }
  }
  return text;
}

// The calls in the first column of the tables: "`POST /v1/tasks` `?kind=K` `&retries=N`".
std::vector<ServiceCall> documented(const std::string& page) {
  std::vector<ServiceCall> calls;
  std::stringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ")) continue;
    std::string_view cell = std::string_view(line).substr(0, line.find(" | ", 1));
    const bool same = cell.starts_with("| the same");
    std::optional<ServiceCall> call;
    if (same && !calls.empty()) call = calls.back();
    while (cell.find('`') != std::string_view::npos) {
      cell.remove_prefix(cell.find('`') + 1);
      std::string_view span = cell.substr(0, cell.find('`'));
      cell.remove_prefix(span.size() + 1);
      if (const size_t at = span.find(" /v1/"); at != std::string_view::npos) {
        if (call) calls.push_back(*call);
        call.emplace();
        std::string_view target = span.substr(at + 5, span.find('?') - at - 5);
        const std::string_view name = target.substr(0, target.find('/'));
        target.remove_prefix(std::min(name.size() + 1, target.size()));
        call->path = target;
        for (const Verb verb : {Verb::kGet, Verb::kPut, Verb::kPost, Verb::kDelete})
          if (verb_name(verb) == span.substr(0, at)) call->verb = verb;
        bool known = false;
        for (int i = 0; i <= static_cast<int>(kLastCollection); ++i) {
          if (name != collection_name(static_cast<Collection>(i))) continue;
          call->collection = static_cast<Collection>(i);
          known = true;
        }
        if (!known) call.reset();  // not of the services
        span.remove_prefix(std::min(span.find('?'), span.size()));
      }
      while (call && !span.empty() && (span.front() == '?' || span.front() == '&')) {
        span.remove_prefix(1);
        const std::string_view one = span.substr(0, span.find_first_of("?&"));
        span.remove_prefix(one.size());
        const size_t equals = std::min(one.find('='), one.size());
        give(*call, one.substr(0, equals), std::string(one.substr(std::min(equals + 1, one.size()))));
      }
    }
    if (call) calls.push_back(*call);
  }
  return calls;
}

// "N" is a number, "NAME" a text, "children" one of several words.
std::string problem_of(const CallRow& row, const NamedText& given) {
  static const std::set<std::string> numbers = {"N", "MS", "SECONDS", "F"};
  const bool number = numbers.contains(given.value);
  if (given.name == "hold")
    return row.held_by == HeldBy::kEither || row.held_by == HeldBy::kConnection ? "" : "is not held";
  if (given.name == "session") return row.held_by == HeldBy::kNobody ? "takes no session" : "";
  if (given.name == "wait") return row.waits == Waits::kYes && number ? "" : "does not wait";
  const ParameterRow* parameter = row.find(given.name);
  if (parameter == nullptr) return "takes no " + given.name;
  switch (parameter->type) {
    case ParameterType::kNumber:
      return number || given.value == "0" ? "" : given.name + " is a number";
    case ParameterType::kFlag:
      return given.value == "1" ? "" : given.name + " is a flag";
    case ParameterType::kWord:
      return std::ranges::count(parameter->words, given.value) > 0 ? "" : given.name + " has other words";
    default:
      return number && given.value != "N" ? given.name + " is a text" : "";
  }
}

}  // namespace

TEST_CASE("calls: the manual lists them all") {
  const std::string page = content_of(std::filesystem::path(KVD_MANUAL) / "calls.md");
  const size_t begin = page.find("\n## /v1/sessions");
  REQUIRE(begin != std::string::npos);
  CHECK(page.substr(begin) == list_of_calls());  // what follows the introduction is the right side of this
}

TEST_CASE("calls: what the tables of the manual say of a call is so") {
  size_t found = 0;
  for (const auto& file : std::filesystem::directory_iterator(KVD_MANUAL)) {
    if (file.path().extension() != ".md") continue;
    for (const ServiceCall& call : documented(content_of(file.path()))) {
      const std::string page = file.path().filename();
      const std::string text = fmt::format("{}: {} {}/{}", page, verb_name(call.verb),
                                           collection_name(call.collection), call.path);
      CAPTURE(text);
      ++found;
      const auto row = find_call(call);
      if (!row) {
        FAIL_CHECK(row.error().why);
        continue;
      }
      for (const NamedText& given : call.parameters) {
        const std::string problem = problem_of(**row, given);
        CHECK(problem == "");
      }
    }
  }
  CHECK(found >= 40);
}
