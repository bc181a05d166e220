// See answers.hpp.
#include "client/answers.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>

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
  explicit Members(dom::object object) : object_(object), good_(true) {}
  bool good() const { return good_; }

  std::string text(std::string_view name) const {
    std::string_view found;
    return object_[name].get(found) == simdjson::SUCCESS ? std::string(found) : "";
  }
  template <class Number>
  bool number(std::string_view name, Number& to) const {
    return object_[name].get(to) == simdjson::SUCCESS;
  }
  // Whether there is such a member that is true or false, and which.
  bool flag(std::string_view name, bool& to) const { return object_[name].get(to) == simdjson::SUCCESS; }
  bool object(std::string_view name, dom::object& to) const {
    return object_[name].get(to) == simdjson::SUCCESS;
  }
  bool element(std::string_view name, dom::element& to) const {
    return object_[name].get(to) == simdjson::SUCCESS;
  }
  bool list(std::string_view name, dom::array& to) const {
    return object_[name].get(to) == simdjson::SUCCESS;
  }
  // What JsonWriter::bytes_member() wrote. False: that is no base64.
  bool bytes(const std::string& name, std::string& to) const {
    to = text(name);
    const std::string encoded = text(name + "_b64");
    if (encoded.empty()) return true;
    auto decoded = base64_decode(encoded);
    if (decoded) to = std::move(*decoded);
    return decoded.has_value();
  }

 private:
  dom::parser parser_;  // of what object_ is a part, unless it is a part of another's
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

// A text as it is, a list as its elements with commas, anything else as JSON; in one line.
std::string text_of(dom::element element) {
  std::string_view text;
  if (element.get(text) == simdjson::SUCCESS) return printable(text);
  dom::array list;
  if (element.get(list) != simdjson::SUCCESS) return simdjson::minify(element);
  std::string all;
  for (const dom::element one : list) all += (all.empty() ? "" : ",") + text_of(one);
  return all;
}

// The objects in the list `name` of an answer. `read` says what is wrong with one, or "".
template <class Item, class Read>
Result<std::vector<Item>> parse_items(const Members& members, std::string_view name, Read read) {
  dom::array list;
  if (!members.good() || !members.list(name, list))
    return failure(fmt::format("the answer is no list of {}", name));
  std::vector<Item> items;
  for (const dom::element element : list) {
    dom::object object;
    if (element.get(object) != simdjson::SUCCESS) return failure("an item in the answer is no object");
    Item& item = items.emplace_back();
    const std::string problem = read(Members(object), item);
    if (!problem.empty()) return failure(problem);
    item.json = simdjson::minify(object);
  }
  return items;
}

MessageGap read_gap(dom::object object) {
  const Members members(object);
  return {printable(members.text("after")), printable(members.text("last"))};
}

constexpr char kNoLease[] = "a lease without its id, or without its times";

// Empty: it is well.
std::string read_lease(const Members& members, ListedLease& to) {
  if (!members.number("lease", to.id) || !members.number("ttl_ms", to.ttl_ms) ||
      !members.number("left_ms", to.left_ms))
    return kNoLease;
  if (!members.bytes("name", to.name)) return "a lease with a name that cannot be read";
  to.name = printable(to.name);
  dom::array keys;
  if (!members.list("keys", keys)) return "";
  for (const dom::element element : keys) {
    std::string& key = to.keys.emplace_back();
    std::string_view text;
    dom::object encoded;
    if (element.get(text) == simdjson::SUCCESS) {
      key = text;
    } else if (element.get(encoded) != simdjson::SUCCESS || !Members(encoded).bytes("key", key)) {
      return "a lease with a key that cannot be read";
    }
  }
  return "";
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
  if (!members.bytes("data", task.data)) return failure("a task whose data_b64 is no base64");
  return task;
}

Result<int64_t> parse_number_in(std::string_view json, std::string_view name) {
  int64_t number = 0;
  if (const Members members(json); members.good() && members.number(name, number)) return number;
  return failure(fmt::format("no number '{}' in the answer", name));
}

Result<bool> parse_flag_in(std::string_view json, std::string_view name) {
  bool flag = false;
  if (const Members members(json); members.good() && members.flag(name, flag)) return flag;
  return failure(fmt::format("no true or false '{}' in the answer", name));
}

std::string text_in(std::string_view json, std::string_view name) {
  const Members members(json);
  return members.good() ? printable(members.text(name)) : "";
}

std::string json_in(std::string_view json, std::string_view name) {
  const Members members(json);
  dom::element element;
  if (!members.good() || !members.element(name, element)) return "";
  return simdjson::minify(element);
}

Result<KeyPage> parse_key_page(std::string_view json) {
  const Members members(json);
  KeyPage page;
  dom::array items;
  if (!members.good() || !members.number("revision", page.revision) || !members.list("items", items))
    return failure("the answer is no list of keys");
  for (const dom::element item : items) {
    dom::object object;
    if (item.get(object) != simdjson::SUCCESS) return failure("an item in the answer is no object");
    ListedKey& listed = page.keys.emplace_back();
    const Members of_item(object);
    if (!of_item.bytes("key", listed.key) || !of_item.bytes("value", listed.value) || listed.key.empty())
      return failure("an item in the answer has no key, or no base64 where some has to be");
    listed.json = simdjson::minify(item);
  }
  return page;
}

Result<ListedLease> parse_lease(std::string_view json) {
  dom::parser parser;
  dom::object object;
  if (parser.parse(json.data(), json.size()).get(object) != simdjson::SUCCESS) return no_object(json);
  ListedLease lease;
  const std::string problem = read_lease(Members(object), lease);
  if (!problem.empty()) return failure(problem);
  lease.json = simdjson::minify(object);
  return lease;
}

Result<std::vector<ListedLease>> parse_lease_page(std::string_view json) {
  return parse_items<ListedLease>(Members(json), "leases", read_lease);
}

Result<std::vector<std::optional<int64_t>>> parse_renewals(std::string_view json) {
  const Members members(json);
  dom::array results;
  if (!members.good() || !members.list("results", results))
    return failure("the answer is no list of renewals");
  std::vector<std::optional<int64_t>> all;
  for (const dom::element result : results) {
    all.emplace_back();
    if (result.is_null()) continue;
    int64_t left = 0;
    if (result["left_ms"].get(left) != simdjson::SUCCESS) return failure("a renewal without left_ms");
    all.back() = left;
  }
  return all;
}

Result<MessagePage> parse_message_page(std::string_view json) {
  const Members answer(json);
  auto messages =
      parse_items<QueueMessage>(answer, "messages", [](const Members& members, QueueMessage& message) {
        message.id = members.text("id");
        if (message.id.empty() || message.id.find('\0') != std::string::npos)
          return "a message without an id";
        members.number("receipt", message.receipt);
        members.number("attempt", message.attempt);
        const bool good = members.bytes("group", message.group) && members.bytes("type", message.type) &&
                          members.bytes("body", message.body);
        return good ? "" : "a message with no base64 where some has to be";
      });
  if (!messages) return failure(messages.error().detail);
  MessagePage page{std::move(*messages), {}};
  if (dom::object gap; answer.object("gap", gap)) page.gap = read_gap(gap);
  return page;
}

std::string gap_text(const MessageGap& gap) {
  return fmt::format("a gap: what was behind message {}, up to {}, is gone", gap.after, gap.last);
}

Result<TopicLine> parse_topic_line(std::string_view text) {
  using Kind = TopicLine::Kind;
  constexpr std::pair<std::string_view, Kind> kStates[] = {
      {"stale", Kind::kStale}, {"current", Kind::kCurrent}, {"lost", Kind::kLost}};
  const Members members(text);
  if (!members.good()) return no_object(text);
  TopicLine line;
  dom::object object;
  if (members.object("message", object)) {
    line.kind = Kind::kMessage;
    line.id = printable(Members(object).text("id"));
    line.json = simdjson::minify(object);
  } else if (members.object("gap", object)) {
    line.kind = Kind::kGap;
    line.gap = read_gap(object);
  } else {
    line.id = printable(members.text("progress"));
    if (!line.id.empty()) line.kind = Kind::kProgress;
  }
  const std::string state = members.text("state");
  for (const auto& [name, kind] : kStates) {
    if (state == name) line.kind = kind;
  }
  line.reason = printable(members.text("reason"));
  return line;
}

Result<std::vector<ListedSource>> parse_source_page(std::string_view json, std::string_view what,
                                                    const std::vector<std::string>& numbers) {
  return parse_items<ListedSource>(Members(json), what,
                                   [&](const Members& members, ListedSource& source) -> std::string {
                                     if (!members.bytes("name", source.name) || source.name.empty())
                                       return fmt::format("one of the {} has no name", what);
                                     for (const std::string& name : numbers) {
                                       if (!members.number(name, source.numbers.emplace_back()))
                                         return fmt::format("one of the {} has no number '{}'", what, name);
                                     }
                                     return "";
                                   });
}

Result<std::vector<ListedAccess>> parse_access_page(std::string_view json, std::string_view what,
                                                    std::string_view id,
                                                    const std::vector<std::string>& members) {
  return parse_items<ListedAccess>(Members(json), what,
                                   [&](const Members& all, ListedAccess& item) -> std::string {
                                     item.name = printable(all.text(id));
                                     if (item.name.empty())
                                       return fmt::format("one of the {} has no {}", what, id);
                                     for (const std::string& name : members) {
                                       dom::element element;
                                       const bool there = all.element(name, element);
                                       item.members.emplace_back(name, there ? text_of(element) : "");
                                     }
                                     return "";
                                   });
}

Result<std::vector<std::string>> parse_texts_in(std::string_view json, std::string_view name) {
  const Members members(json);
  dom::array list;
  if (!members.good() || !members.list(name, list))
    return failure(fmt::format("no list '{}' in the answer", name));
  std::vector<std::string> texts;
  for (const dom::element element : list) {
    std::string_view text;
    if (element.get(text) != simdjson::SUCCESS) return failure(fmt::format("no text in '{}'", name));
    texts.push_back(printable(text));
  }
  return texts;
}

Result<std::vector<std::pair<std::string, std::string>>> parse_members(std::string_view json) {
  dom::parser parser;
  dom::object object;
  if (parser.parse(json.data(), json.size()).get(object) != simdjson::SUCCESS) return no_object(json);
  std::vector<std::pair<std::string, std::string>> all;
  for (const dom::key_value_pair member : object) {
    all.emplace_back(printable(member.key), text_of(member.value));
  }
  return all;
}

Result<LeaseLine> parse_lease_line(std::string_view line) {
  using Kind = LeaseLine::Kind;
  const Members members(line);
  if (!members.good()) return no_object(line);
  LeaseLine out;
  const std::string state = members.text("state");
  if (members.number("lease", out.id) || state == "held") out.kind = Kind::kHeld;
  if (state == "unsure") out.kind = Kind::kUnsure;
  if (state == "lost") out.kind = Kind::kLost;
  if (state == "stopping") out.kind = Kind::kStopping;
  members.number("hold", out.hold);
  members.number("ttl_ms", out.ttl_ms);
  const bool lives = out.kind == Kind::kHeld || out.kind == Kind::kStopping;
  if ((!members.number("left_ms", out.left_ms) && lives) || (out.id != 0 && out.ttl_ms <= 0))
    return failure(kNoLease);
  out.reason = printable(members.text("reason"));
  return out;
}

Result<WatchedLine> parse_watched_line(std::string_view line) {
  using Kind = WatchedLine::Kind;
  constexpr std::pair<std::string_view, Kind> kKinds[] = {
      {"put", Kind::kChange},        {"delete", Kind::kChange}, {"expire", Kind::kChange},
      {"progress", Kind::kProgress}, {"synced", Kind::kSynced}, {"stale", Kind::kStale},
      {"current", Kind::kCurrent},   {"reset", Kind::kReset},   {"gone", Kind::kGone}};
  const Members members(line);
  if (!members.good()) return no_object(line);
  WatchedLine out;
  out.type = printable(members.text("type"));
  if (!members.bytes("key", out.key) || !members.bytes("value", out.value))
    return failure("a change with no base64 where some has to be");
  if (!out.key.empty()) out.kind = Kind::kChange;
  for (const auto& [name, kind] : kKinds) {
    if (out.type == name) out.kind = kind;
  }
  if (out.kind == Kind::kChange && out.key.empty()) return failure("a change without a key");
  const bool whence = out.kind != Kind::kStale && out.kind != Kind::kOther;
  if (!members.number("revision", out.revision) && whence) return failure("a line without its revision");
  members.flag("more", out.more);
  members.flag("state", out.state);
  members.flag("linear", out.linear);
  out.reason = printable(members.text("reason"));
  return out;
}

std::string problem_outcome(std::string_view body) {
  const Members members(body);
  return members.good() ? members.text("outcome") : "";
}

bool refuses_access(int status) { return status == 401 || status == 403; }

std::string problem_text(int status, std::string_view body) {
  const Members members(body);
  std::string words = members.good() ? members.text("detail") : "";
  if (words.empty() && members.good()) words = members.text("title");
  return fmt::format("the server says {}{}{}", status, words.empty() ? "" : ": ", printable(words));
}

}  // namespace kvd::client
