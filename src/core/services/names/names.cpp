// See names.hpp. What is asked, and what is read; registering is in names_register.cpp.
#include "core/services/names/names.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "core/services/names/hosts_text.hpp"
#include "core/services/zk_refusal.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

constexpr Duration kPatience = seconds(1);
constexpr size_t kRenderedMax = 64;
constexpr size_t kListBytes = 1u << 20;  // of entries in one answer

Document entry_shown(const std::string& path, const NameEntry& entry, int64_t version, bool ephemeral) {
  Document document = Document().add("path", path).add("address", entry.address);
  if (entry.port) document.add("port", *entry.port);
  document.add("allocated", entry.allocated).add("ephemeral", ephemeral).add("version", version);
  if (!entry.meta.empty()) document.add("meta", StoredJson{entry.meta});
  return document;
}

}  // namespace

Names::Names(Outbox& out)
    : out_(out),
      zk_(out, ServiceActor::kNames),
      view_(out, zk_,
            [this] {
              rendered_.clear();
              answer_asks();
            }),
      held_(out, {.find = [this](const auto& path) { release(path); },
                  .check = [this](const auto& path) { watch_own(path); },
                  .remove = [this](const auto& path) { release(path); },
                  .end_calls = [](const auto&, const auto&) { return true; },  // they are not the entry's
                  .unasked = {},
                  .forgotten = {}}),
      adrift_(out) {}

void Names::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Names::reply(uint64_t token, ServiceAnswer answer) { held_.reply(token, std::move(answer)); }

// ---- what is asked ----

void Names::on(ServiceAsked message) {
  switch (message.call.name) {
    case CallName::kShowHosts:
    case CallName::kListNames:
      return ask(std::move(message));
    case CallName::kPutName:
    case CallName::kHoldName:
      return put(std::move(message));
    case CallName::kDeleteName:
      return remove(std::move(message));
    case CallName::kShowName:
      return show(std::move(message));
    default:
      CHECK(!"a call of names");
  }
}

void Names::show(ServiceAsked message) {
  PendingRead pending;
  pending.version = message.call.number(Parameter::kVersion);
  pending.path = std::move(message.call.path);
  pending.until = message.until;
  pending_reads_[message.token] = std::move(pending);
  look(message.token);
}

void Names::on(const ServiceDropped& message) {
  pending_reads_.erase(message.token);
  pending_lists_.erase(message.token);
  removals_.erase(message.token);
  const auto it = puts_.find(message.token);
  // A holder's goes on: whoever asks again finds it done.
  if (it != puts_.end() && it->second.holder == HolderId()) puts_.erase(it);
  held_.on(message);
}

// ---- one entry ----

void Names::look(uint64_t token) {
  PendingRead& mine = pending_reads_.at(token);
  mine.watching = false;
  const bool watch = mine.version && mine.until > out_.now;
  const std::string znode = fmt::format("{}/{}", kNamesPath, mine.path);
  auto then = [this, token, znode, watch](const ZkResult& result, bool watches) {
    if (!pending_reads_.contains(token)) return;
    if (result.code == ZkCode::kOk) return answer_look(token, decode_name(result.data), result.stat, watches);
    if (result.code != ZkCode::kNoNode) return end_look(token, zk_refusal(result.code, false));
    if (!watch) return answer_look(token, std::nullopt, {}, false);
    zk_.watch(ZkExists{znode}, [this, token](const ZkResult& exists, bool stands) {
      if (!pending_reads_.contains(token)) return;
      if (exists.code == ZkCode::kOk) return look(token);
      if (exists.code != ZkCode::kNoNode) return end_look(token, zk_refusal(exists.code, false));
      answer_look(token, std::nullopt, {}, stands);
    });
  };
  if (watch) return zk_.watch(ZkGet{znode}, std::move(then));
  zk_.call(ZkGet{znode}, [then = std::move(then)](const ZkResult& result) { then(result, false); });
}

void Names::end_look(uint64_t token, ServiceAnswer answer) {
  pending_reads_.erase(token);
  reply(token, std::move(answer));
}

void Names::answer_look(uint64_t token, const std::optional<NameEntry>& entry, const ZkStat& stat,
                        bool watches) {
  PendingRead& pending = pending_reads_.at(token);
  const int64_t version = entry ? stat.modified_zxid : 0;
  if (pending.version && *pending.version == static_cast<uint64_t>(version) && pending.until > out_.now) {
    if (!watches) return end_look(token, {ServiceStatus::kUnavailable, kWatchesFull});
    pending.watching = true;
    due_ = std::min(due_, pending.until);
    return;
  }
  const std::string path = std::move(pending.path);
  pending_reads_.erase(token);
  if (!entry) return reply(token, {ServiceStatus::kNotFound, fmt::format("there is no name {}", path)});
  reply(token, {ServiceStatus::kOk, entry_shown(path, *entry, version, stat.ephemeral_owner != 0)});
}

// ---- many ----

void Names::ask(ServiceAsked message) {
  PendingList pending;
  const TypedCall& call = message.call;
  pending.hosts = call.name == CallName::kShowHosts;
  pending.since = call.number(pending.hosts ? Parameter::kSince : Parameter::kVersion);
  pending.zone = pending.hosts ? call.text(Parameter::kZone).value_or("") : call.path;
  pending.json = !pending.hosts || call.text(Parameter::kFormat) == "json";
  pending.until = message.until;
  pending.patience = std::max(message.until, out_.now + kPatience);
  pending_lists_[message.token] = std::move(pending);
  view_.want();
  answer_asks();
}

// Those who have something to hear, or may wait no longer.
void Names::answer_asks() {
  for (auto it = pending_lists_.begin(); it != pending_lists_.end();) {
    const auto& [token, pending] = *it;
    if (view_.too_large()) {
      reply(token, {ServiceStatus::kTooLarge,
                    fmt::format("there are more names than one view may have: about {} znodes, or {} "
                                "KiB of their paths",
                                NamesView::kZnodesMax, NamesView::kPathBytesMax >> 10)});
    } else if (view_.whole() && !view_.knows(pending.zone) && !pending.hosts) {
      reply(token, {ServiceStatus::kForbidden, "an ACL in ZooKeeper hides a part of it"});
    } else if (view_.whole() && view_.knows(pending.zone)) {
      const Rendered& now = rendered(pending.hosts, pending.zone);
      if (pending.since == now.version && pending.until > out_.now) {
        due_ = std::min(due_, pending.until);
        ++it;
        continue;
      }
      pending.hosts ? reply_hosts(token, pending, &now) : reply_list(token, pending, &now);
    } else if (pending.patience > out_.now) {
      due_ = std::min(due_, pending.patience);
      ++it;
      continue;
    } else {
      pending.hosts ? reply_hosts(token, pending, nullptr) : reply_list(token, pending, nullptr);
    }
    it = pending_lists_.erase(it);
  }
}

// `rendered` is null when there is no whole view.
void Names::reply_list(uint64_t token, const PendingList& pending, const Rendered* rendered) {
  if (rendered == nullptr)
    return reply(token, {ServiceStatus::kUnavailable, "the names are still being read; try again"});
  Document document = Document().add("path", pending.zone).add("version", rendered->version);
  document.add("entries", rendered->list);
  if (rendered->more) document.add("more", true);
  reply(token, {ServiceStatus::kOk, std::move(document)});
}

// Likewise.
void Names::reply_hosts(uint64_t token, const PendingList& pending, const Rendered* rendered) {
  const bool complete = rendered != nullptr;
  const uint64_t version = complete ? rendered->version : 0;
  AnswerContent content;
  if (!pending.json) {
    content = PlainText{complete ? rendered->text : ""};
  } else {
    Document document = Document().add("version", version).add("complete", complete);
    content = std::move(document).add("hosts", complete ? Value(rendered->list) : Value(ValueList()));
  }
  reply(token, {ServiceStatus::kOk, std::move(content),
                Document().add(kNoteHostsVersion, version).add(kNoteComplete, complete)});
}

const Names::Rendered& Names::rendered(bool hosts, const std::string& zone) {
  if (rendered_.size() >= kRenderedMax) rendered_.clear();
  const auto [it, fresh] = rendered_.try_emplace({hosts, zone});
  if (fresh) it->second = hosts ? render_hosts(zone) : render_entries(zone);
  return it->second;
}

Names::Rendered Names::render_hosts(const std::string& zone) const {
  std::map<std::string, std::string> addresses;
  for (auto it = view_.znodes().lower_bound(zone); it != view_.znodes().end() && it->first.starts_with(zone);
       ++it) {
    if (it->second.entry && name_within(it->first, zone)) addresses[it->first] = it->second.entry->address;
  }
  const std::vector<HostLine> lines = host_lines(addresses);
  ValueList list;
  for (const HostLine& line : lines) {
    ValueList names(line.names.begin(), line.names.end());
    list.push_back(Document().add("address", line.address).add("names", std::move(names)));
  }
  std::string text = hosts_file(lines);
  const uint64_t version = version_of(text);
  return {version, std::move(text), std::make_shared<const ValueList>(std::move(list))};
}

// Its version and its length are those of the list as JSON: the same on every server, whatever else shows it.
Names::Rendered Names::render_entries(const std::string& zone) const {
  ValueList list;
  size_t bytes = 0;
  bool more = false;
  uint64_t version = 0;
  for (auto it = view_.znodes().lower_bound(zone); it != view_.znodes().end() && it->first.starts_with(zone);
       ++it) {
    const NamesView::Znode& znode = it->second;
    if (!znode.entry || !name_within(it->first, zone)) continue;
    Document entry = entry_shown(it->first, *znode.entry, znode.version, znode.ephemeral);
    const std::string words = to_json(entry);
    version = version_of(fmt::format("{} {}", version, words));
    more |= bytes + words.size() > kListBytes;
    if (more) continue;
    bytes += words.size() + (list.empty() ? 0 : 1);  // a comma
    list.push_back(std::move(entry));
  }
  return {version, "", std::make_shared<const ValueList>(std::move(list)), more};
}

// ---- ZooKeeper and time ----

void Names::on(const ZkWatchFired& message) {
  view_.on(message);
  if (!message.path.starts_with(fmt::format("{}/", kNamesPath))) return;
  const std::string path = message.path.substr(sizeof kNamesPath);
  if (held_.in(message.path)) watch_own(path);
  std::vector<uint64_t> concerned;
  for (const auto& [token, pending] : pending_reads_) {
    if (pending.watching && pending.path == path) concerned.push_back(token);
  }
  for (const uint64_t token : concerned) look(token);
}

// With the session end all its znodes. After a mere reconnection what is watched is asked for again.
void Names::on(const ZkSessionChanged& message) {
  view_.on(message);
  adrift_.on(message);
  const bool other = held_.on(message);
  if (other || message.state == ZkState::kExpired) held_.lose_all("the ZooKeeper session ended");
  if (!held_.connected()) return;
  for (const auto& [path, held] : held_.all()) {
    if (!held.znode.empty()) watch_own(path);
  }
  std::vector<uint64_t> watching;
  for (const auto& [token, pending] : pending_reads_) {
    if (pending.watching) watching.push_back(token);
  }
  for (const uint64_t token : watching) look(token);
  held_.go_on_adrift();
  go_on_adrift();
}

void Names::go_on_adrift() {
  for (const uint64_t token : adrift_.take()) {
    if (puts_.contains(token)) read(token);
    const auto removal = removals_.find(token);
    if (removal != removals_.end()) remove_kept(token, removal->second, true);
  }
}

// Looked through only when the earliest moment that was ever given since the last look has passed.
void Names::on_time() {
  view_.on_time();
  held_.on_time();
  if (adrift_.deadline() <= out_.now) go_on_adrift();
  if (due_ > out_.now) return;
  std::vector<uint64_t> late;
  for (const auto& [token, pending] : pending_reads_) {
    if (pending.watching && pending.until <= out_.now) late.push_back(token);
  }
  for (const uint64_t token : late) look(token);
  answer_asks();
  due_ = next_due();
}

Instant Names::next_due() const {
  Instant next = kNever;
  for (const auto& [token, pending] : pending_reads_) {
    if (pending.watching) next = std::min(next, pending.until);
  }
  for (const auto& [token, pending] : pending_lists_) {
    const bool known = view_.whole() && view_.knows(pending.zone);
    next = std::min(next, known ? pending.until : pending.patience);
  }
  return next;
}

Instant Names::deadline() const {
  return std::min({due_, view_.deadline(), held_.deadline(), adrift_.deadline()});
}

}  // namespace kvd
