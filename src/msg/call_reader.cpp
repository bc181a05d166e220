// See calls.hpp: calls are read by the table.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "msg/calls.hpp"
#include "msg/limits.hpp"
#include "msg/name_rules.hpp"
#include "msg/zk_checks.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr std::string_view kEnter = "/enter";
constexpr std::string_view kLeave = "/leave";
constexpr std::string_view kTake = "/take";

struct Problem {
  ServiceStatus status = ServiceStatus::kInvalid;
  std::string text;  // empty: there is none
  explicit operator bool() const { return !text.empty(); }
};

Problem invalid(std::string text) { return {ServiceStatus::kInvalid, std::move(text)}; }

Failure<ServiceAnswer> refuse(Problem problem) {
  return Failure<ServiceAnswer>(ServiceAnswer(problem.status, std::move(problem.text)));
}

std::string_view behind_slash(std::string_view path) {
  return path.substr(std::min(path.find('/'), path.size()));
}

bool fits(PathShape shape, std::string_view path) {
  switch (shape) {
    case PathShape::kNone:
      return path.empty();
    case PathShape::kSession:
      return !path.empty();
    case PathShape::kZnodeEnter:
      return path.ends_with(kEnter);
    case PathShape::kZnodeLeave:
      return path.ends_with(kLeave);
    case PathShape::kZnodeTake:
      return path.ends_with(kTake);
    case PathShape::kPool:
      return path.find('/') == std::string_view::npos;
    case PathShape::kPoolId:
    case PathShape::kZnodeEntry:
      return path.find('/') != std::string_view::npos;
    case PathShape::kTask:
      return !path.empty() && path.find('/') == std::string_view::npos;
    case PathShape::kTaskProgress:
      return behind_slash(path) == "/progress";
    case PathShape::kTaskResult:
      return behind_slash(path) == "/result";
    case PathShape::kWorkerNext:
      return behind_slash(path) == "/next";
    case PathShape::kZnode:
    case PathShape::kName:
    case PathShape::kNameOrAll:
    case PathShape::kAnyZnode:
    case PathShape::kClientZnode:
    case PathShape::kNewZnode:
      return true;
  }
  CHECK(false);
}

const NamedText* find_given(const ServiceCall& call, std::string_view name) {
  const auto it = std::find_if(call.parameters.begin(), call.parameters.end(),
                               [&](const NamedText& one) { return one.name == name; });
  return it == call.parameters.end() ? nullptr : &*it;
}

// ---- what one parameter's text means ----

std::optional<uint64_t> number_in(std::string_view text, uint64_t least, uint64_t most) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value < least || value > most) return std::nullopt;
  return value;
}

std::optional<uint64_t> flag_in(std::string_view text) {
  if (text == "0" || text == "false") return 0;
  if (text == "1" || text == "true") return 1;
  return std::nullopt;
}

std::optional<uint64_t> word_in(const ParameterRow& row, std::string_view text) {
  const auto it = std::find(row.words.begin(), row.words.end(), text);
  if (it == row.words.end() || text.empty()) return std::nullopt;
  return static_cast<uint64_t>(it - row.words.begin());
}

bool selects(const CallRow& row, const ServiceCall& call) {
  if (row.when.value == 0) return true;
  const std::string_view name = parameter_name(row.when.parameter);
  const NamedText* given = find_given(call, name);
  if (given == nullptr) return false;
  const ParameterRow& parameter = *row.find(name);
  const auto value =
      parameter.type == ParameterType::kFlag ? flag_in(given->value) : word_in(parameter, given->value);
  return value == row.when.value;
}

std::string joined(const std::array<std::string_view, 3>& words) {
  if (words[2].empty()) return fmt::format("{} or {}", words[0], words[1]);
  return fmt::format("{}, {} or {}", words[0], words[1], words[2]);
}

std::string problem_of_number(std::string_view name, uint64_t least, uint64_t most) {
  return fmt::format("the query parameter '{}' has to be a number from {} to {}", name, least, most);
}

std::string problem_of_flag(std::string_view name) {
  return fmt::format("the query parameter '{}' has to be 1 or 0", name);
}

// Reads the text of a parameter into `argument`; what is wrong with it, or nothing.
std::string read_parameter(const ParameterRow& row, const std::string& text, Argument& argument) {
  const std::string_view name = parameter_name(row.parameter);
  std::optional<uint64_t> value = 0;
  std::string wrong;
  switch (row.type) {
    case ParameterType::kNumber:
      value = number_in(text, row.least, row.most);
      if (!value) return problem_of_number(name, row.least, row.most);
      break;
    case ParameterType::kFlag:
      value = flag_in(text);
      if (!value) return problem_of_flag(name);
      break;
    case ParameterType::kWord:
      value = word_in(row, text);
      if (!value) return fmt::format("the query parameter '{}' has to be {}", name, joined(row.words));
      break;
    case ParameterType::kHolderName:
      wrong = problem_of_holder_name(text);
      break;
    case ParameterType::kWorkerName:
      if (!task_name_valid(text))
        wrong = fmt::format(
            "a worker's name is a text of 1 to {} bytes that can stand in a path, without a slash",
            kTaskNameBytes);
      break;
    case ParameterType::kTaskKind:
      if (!task_kind_valid(text))
        wrong = fmt::format("a kind is a text of at most {} bytes, none of them zero", kTaskKindBytes);
      break;
    case ParameterType::kZone:
      if (!text.empty()) wrong = problem_of_name(text);
      break;
    case ParameterType::kNone:
      CHECK(false);
  }
  argument.number = *value;
  argument.text = text;
  return wrong;
}

// ---- the whole call ----

class CallReader {
 public:
  CallReader(const CallRow& row, const ServiceCall& call) : row_(row), call_(call) {
    read_.call.name = row.name;
    read_.call.collection = row.collection;
  }

  Result<CallRead, ServiceAnswer> read() {
    for (Problem (CallReader::*step)() :
         {&CallReader::take_shared, &CallReader::take_path, &CallReader::take_parameters,
          &CallReader::judge_unknown, &CallReader::judge_missing, &CallReader::judge_holder,
          &CallReader::judge_path_end, &CallReader::judge_body}) {
      if (Problem problem = (this->*step)()) return refuse(std::move(problem));
    }
    return std::move(read_);
  }

 private:
  Problem take_shared();
  Problem take_path();
  Problem take_znode(std::string_view path);
  Problem take_parameters();
  Problem judge_unknown();
  Problem judge_missing();
  Problem judge_holder();
  Problem judge_path_end();
  Problem judge_body();

  const CallRow& row_;
  const ServiceCall& call_;
  CallRead read_;
};

// What any call may have.
Problem CallReader::take_shared() {
  if (const NamedText* hold = find_given(call_, "hold")) {
    const std::optional<uint64_t> held = flag_in(hold->value);
    if (!held) return invalid(problem_of_flag("hold"));
    read_.hold = *held != 0;
  }
  if (const NamedText* wait = find_given(call_, "wait")) {
    read_.wait_ms = number_in(wait->value, 0, limits::kWaitMs);
    if (!read_.wait_ms) return invalid(problem_of_number("wait", 0, limits::kWaitMs));
  }
  if (const NamedText* session = find_given(call_, "session")) read_.session = session->value;
  if (read_.hold && read_.session) return invalid("'hold' and 'session' exclude each other");
  if (row_.waits == Waits::kRefuses && read_.wait_ms.value_or(0) > 0 && !read_.hold)
    return invalid("nothing is waited for here: without 'wait'");
  return {};
}

Problem CallReader::take_path() {
  std::string_view path = call_.path;
  std::string& taken = read_.call.path;
  const size_t slash = std::min(path.find('/'), path.size());
  taken = path;
  switch (row_.path) {
    case PathShape::kNone:
    case PathShape::kSession:
      return {};
    case PathShape::kZnodeEnter:
    case PathShape::kZnodeLeave:
      path.remove_suffix(kEnter.size());
      return take_znode(path);
    case PathShape::kZnodeTake:
      path.remove_suffix(kTake.size());
      return take_znode(path);
    case PathShape::kZnode:
    case PathShape::kZnodeEntry:
    case PathShape::kAnyZnode:
    case PathShape::kClientZnode:
    case PathShape::kNewZnode:
      return take_znode(path);
    case PathShape::kPool:
      return invalid(problem_of_pool(taken));
    case PathShape::kPoolId:
      taken = path.substr(0, slash);
      if (const auto id = id_number(path.substr(slash + 1))) read_.call.id = *id;
      if (const std::string wrong = problem_of_pool(taken); !wrong.empty()) return invalid(wrong);
      if (read_.call.id == 0) return invalid(fmt::format("an id is a number from 1 to {}", kIdMax));
      return {};
    case PathShape::kName:
      return invalid(problem_of_name(taken));
    case PathShape::kNameOrAll:
      return invalid(taken.empty() ? "" : problem_of_name(taken));
    case PathShape::kTask:
    case PathShape::kTaskProgress:
    case PathShape::kTaskResult:
      taken = path.substr(0, slash);
      return invalid(task_name_valid(taken) ? "" : "that cannot be the id of a task");
    case PathShape::kWorkerNext:
      taken = path.substr(0, slash);
      return {};
  }
  CHECK(false);
}

Problem CallReader::take_znode(std::string_view path) {
  std::string& taken = read_.call.path;
  taken = fmt::format("/{}", path);
  const bool of_services = row_.collection != Collection::kZnodes;  // the root is nobody's lock
  const bool completed = row_.path == PathShape::kNewZnode;         // perhaps by digits
  if ((of_services && path.empty()) || !zk_path_valid(taken, completed))
    return invalid(
        "the path has to be one of znodes: UTF-8, no empty part, no '.' or '..', no slash at its end");
  const std::string_view own = own_znode_above(taken);
  if (own.empty() || row_.path == PathShape::kAnyZnode) return {};
  if (of_services) return {ServiceStatus::kForbidden, fmt::format("{} is not for clients", own)};
  return {ServiceStatus::kForbidden, "what kvd and ZooKeeper keep for themselves is not for clients"};
}

Problem CallReader::take_parameters() {
  for (const ParameterRow& row : row_.parameters) {
    if (row.type == ParameterType::kNone) break;
    const NamedText* given = find_given(call_, parameter_name(row.parameter));
    Argument argument{row.parameter, row.usual.value_or(0), ""};
    if (given != nullptr) {
      if (const std::string wrong = read_parameter(row, given->value, argument); !wrong.empty())
        return invalid(wrong);
    }
    if (given != nullptr || row.usual) read_.call.arguments.push_back(std::move(argument));
  }
  return {};
}

Problem CallReader::judge_unknown() {
  for (const auto& [name, value] : call_.parameters) {
    const bool shared = name == "hold" || name == "wait" || name == "session";
    if (!shared && row_.find(name) == nullptr)
      return invalid(fmt::format("the query parameter '{}' is not known here", name));
  }
  return {};
}

Problem CallReader::judge_missing() {
  for (const ParameterRow& row : row_.parameters) {
    const std::string_view name = parameter_name(row.parameter);
    if (row.missing != nullptr && find_given(call_, name) == nullptr)
      return invalid(fmt::format("the query parameter '{}' {}", name, row.missing));
  }
  return {};
}

Problem CallReader::judge_holder() {
  const bool may_hold = row_.held_by == HeldBy::kEither || row_.held_by == HeldBy::kConnection;
  if (read_.hold && !may_hold) return invalid(row_.not_held);
  if (read_.session && row_.held_by == HeldBy::kNobody) return invalid(row_.not_held);
  if (row_.held_by == HeldBy::kConnection && !read_.hold) return invalid(row_.whose);
  if (read_.hold || read_.session) return {};
  if (row_.held_by == HeldBy::kSessionOrFence && !read_.call.number(Parameter::kFence))
    return invalid(fmt::format(
        "the query parameter 'session' has to name whose {} it is, or 'fence' what a connection holds",
        row_.whose));
  if (row_.held_by == HeldBy::kSession)
    return invalid(fmt::format("the query parameter 'session' has to name whose {} it is", row_.whose));
  if (row_.held_by == HeldBy::kEither)
    return invalid(fmt::format(
        "{} name a session with 'session' (POST /v1/sessions opens one), or ask with 'hold=1'", row_.whose));
  return {};
}

Problem CallReader::judge_path_end() {
  const bool open = row_.path == PathShape::kNewZnode && !zk_path_valid(read_.call.path);
  if (open && !read_.call.flag(Parameter::kSeq)) return invalid("a slash at the path's end is for seq=1");
  return {};
}

Problem CallReader::judge_body() {
  const std::string& body = call_.body;
  const size_t digits = row_.path == PathShape::kNewZnode ? kSequenceDigits : 0;
  switch (row_.body) {
    case BodyKind::kNone:
      return {};
    case BodyKind::kName:
      if (body.size() <= kNameBodyBytes) return {};
      return {ServiceStatus::kTooLarge, fmt::format("a name's body has at most {} bytes", kNameBodyBytes)};
    case BodyKind::kTask:
      if (body.size() <= limits::kTaskBytes) return {};
      return {ServiceStatus::kTooLarge,
              fmt::format("a task's data and its result have at most {} bytes", limits::kTaskBytes)};
    case BodyKind::kProgress:
      if (body.size() <= limits::kTaskProgressBytes && is_utf8(body)) return {};
      return invalid(fmt::format("progress is a text of at most {} bytes", limits::kTaskProgressBytes));
    case BodyKind::kZnode:
      if (read_.call.path.size() + digits + body.size() <= limits::kZkData) return {};
      return {ServiceStatus::kTooLarge, fmt::format("path and data have at most {} bytes", limits::kZkData)};
    case BodyKind::kEntry:
      if (body.size() <= limits::kEntryBytes) return {};
      return {ServiceStatus::kTooLarge,
              fmt::format("an entry of a queue has at most {} bytes", limits::kEntryBytes)};
  }
  CHECK(false);
}

// Of a path at which the collection has nothing.
Problem problem_of_place(Collection collection) {
  switch (collection) {
    case Collection::kHosts:
      return {ServiceStatus::kNotFound, "nothing is below /v1/hosts; 'zone' names a part of the tree"};
    case Collection::kTasks:
      return {ServiceStatus::kNotFound, "a task has a 'result' and a 'progress'"};
    case Collection::kWorkers:
      return {ServiceStatus::kNotFound, "a worker has a 'next'"};
    case Collection::kSessions:
    case Collection::kLocks:
    case Collection::kElections:
    case Collection::kBarriers:
    case Collection::kIds:
    case Collection::kNames:
    case Collection::kZnodes:
    case Collection::kZkQueues:
      break;
  }
  CHECK(!"every path is one of that collection");
}

}  // namespace

const ParameterRow* CallRow::find(std::string_view parameter) const {
  const auto it = std::find_if(parameters.begin(), parameters.end(), [&](const ParameterRow& row) {
    return row.type != ParameterType::kNone && parameter_name(row.parameter) == parameter;
  });
  return it == parameters.end() ? nullptr : &*it;
}

Result<const CallRow*, ServiceAnswer> find_call(const ServiceCall& call) {
  const CallRow* found = nullptr;
  bool there = false;
  for (const CallRow& row : all_calls()) {
    if (row.collection != call.collection || !fits(row.path, call.path)) continue;
    there = true;
    if (row.verb == call.verb && selects(row, call)) found = &row;  // who selects stands behind who does not
  }
  if (found != nullptr) return found;
  if (call.collection == Collection::kBarriers && call.verb == Verb::kPost)
    return refuse(invalid("a POST goes to PATH/enter or PATH/leave"));
  if (!there) return refuse(problem_of_place(call.collection));
  return refuse({ServiceStatus::kWrongVerb, allowed_verbs(call.collection, call.path)});
}

std::string allowed_verbs(Collection collection, std::string_view path) {
  const auto allows = [&](Verb verb, bool anywhere) {
    return std::ranges::any_of(all_calls(), [&](const CallRow& row) {
      return row.collection == collection && row.verb == verb && (anywhere || fits(row.path, path));
    });
  };
  std::string verbs;
  for (const bool anywhere : {false, true}) {
    for (const Verb verb : {Verb::kGet, Verb::kPut, Verb::kPost, Verb::kDelete}) {
      if (!allows(verb, anywhere)) continue;
      verbs +=
          fmt::format("{}{}", verbs.empty() ? "" : ", ", verb == Verb::kGet ? "GET, HEAD" : verb_name(verb));
    }
    if (!verbs.empty()) break;
  }
  return verbs;
}

Result<CallRead, ServiceAnswer> read_call(const ServiceCall& call) {
  const auto row = find_call(call);
  if (!row) return Failure<ServiceAnswer>(row.error());
  return CallReader(**row, call).read();
}

namespace {

const Argument* find_argument(const TypedCall& call, Parameter parameter) {
  const auto it = std::find_if(call.arguments.begin(), call.arguments.end(),
                               [&](const Argument& one) { return one.parameter == parameter; });
  return it == call.arguments.end() ? nullptr : &*it;
}

}  // namespace

std::optional<uint64_t> TypedCall::number(Parameter parameter) const {
  const Argument* argument = find_argument(*this, parameter);
  return argument == nullptr ? std::nullopt : std::optional(argument->number);
}

std::optional<std::string> TypedCall::text(Parameter parameter) const {
  const Argument* argument = find_argument(*this, parameter);
  return argument == nullptr ? std::nullopt : std::optional(argument->text);
}

}  // namespace kvd
