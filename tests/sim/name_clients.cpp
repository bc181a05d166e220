// See name_clients.hpp. A client registers a name, keeps it for a while, gives it back or just goes away, thinks, and
// registers another one through another server.
#include "name_clients.hpp"

#include <fmt/format.h>

#include "call_text.hpp"
#include "msg/text.hpp"

namespace kvd::sim {
namespace {

constexpr Duration kRegisterAgainMost = milliseconds(800);
constexpr int kNameTtl = 2;  // seconds
constexpr uint64_t kNames = 6;
constexpr std::string_view kAbove = "/names/n/";

std::string words_of(std::string_view name, std::string_view address) {
  return fmt::format("{} {}\n", name, address);
}

}  // namespace

NameClients::NameClients(SimContext& context, ServiceCalls& calls)
    : ServiceClients(context, calls, static_cast<uint64_t>(context.options.names) + 61) {
  clients_.resize(static_cast<size_t>(context.options.names));
  watchers_.resize(static_cast<size_t>(context.options.servers));
}

void NameClients::start() {
  for (size_t i = 0; i < clients_.size(); ++i) think(static_cast<int>(i));
  for (size_t i = 0; i < watchers_.size(); ++i) watch(static_cast<int>(i));
}

// After the faults: who has had a name has nothing more to do, but some keep it.
bool NameClients::stays(int index) const { return progress_expected() && index % 2 == 0; }

void NameClients::think(int index) {
  clients_[index].name.clear();
  within(kThinkMost, [this, index] {
    if (clients_[index].names_since == 0 || !progress_expected() || stays(index)) ask(index);
  });
}

void NameClients::ask(int index) {
  Client& client = clients_[index];
  client.wanted = fmt::format("n/{}", prng_.below(kNames));
  if (!stays(index) && prng_.one_in(3)) return register_by_session(index);
  client.session.clear();
  client.server = any_server();
  client.call = calls_.call(client.server, fmt::format("POST names/{}?hold=1", client.wanted),
                            [this, index, asked = now()](const ServiceReply* reply) {
                              if (reply == nullptr) return think(index);
                              if (reply->line) hear_line(index, asked, *reply);
                              if (reply->last) think(index);
                            });
}

void NameClients::hear_line(int index, Instant asked, const ServiceReply& reply) {
  Client& client = clients_[index];
  const std::string state = member_of(reply.answer, "state");
  if (state.empty() && client.name.empty()) {
    given(index, reply.answer, asked);
    if (!stays(index)) hang_up_after(keeping(), client.call, [this, index] { think(index); });
  }
  if (state == "lost") {
    client.name.clear();
    if (!reply.last) hang_up_after(up_to(kLetGoMost), client.call, [this, index] { think(index); });
  }
}

// ---- by a session, at any server ----

void NameClients::register_by_session(int index) {
  open_session(any_server(), kNameTtl, [this, index](const std::string& id) {
    clients_[index].session = id;
    if (id.empty()) return think(index);
    register_again(index);
  });
}

void NameClients::register_again(int index) {
  const Client& client = clients_[index];
  calls_.call(
      any_server(), fmt::format("PUT names/{}?session={}", client.wanted, client.session),
      [this, index, asked = now()](const ServiceReply* reply) { hear_registered(index, asked, reply); });
}

void NameClients::hear_registered(int index, Instant asked, const ServiceReply* reply) {
  const Client& client = clients_[index];
  const kvd::ServiceStatus verdict = reply == nullptr ? kvd::ServiceStatus::kUnknown : reply->answer.status;
  if (verdict == kvd::ServiceStatus::kCreated || verdict == kvd::ServiceStatus::kOk) {
    given(index, reply->answer, asked);
  } else if (verdict != kvd::ServiceStatus::kUnknown) {
    return think(index);
  }
  if (prng_.one_in(2))
    return give_back(client.session, "names/" + client.wanted, [this, index] { think(index); });
  within(kRegisterAgainMost, [this, index] { register_again(index); });
}

// ---- who watches ----

void NameClients::watch(int server) {
  const std::string call = fmt::format("GET names?recurse=1&wait=1000&version={}", watchers_[server].version);
  calls_.call(server, call, [this, server](const ServiceReply* reply) {
    Watcher& watcher = watchers_[server];
    if (reply != nullptr && reply->answer.status == kvd::ServiceStatus::kOk) {
      const Document& told = std::get<Document>(reply->answer.content);
      watcher.version = static_cast<uint64_t>(*told.number("version"));
      watcher.heard.clear();
      for (const Value& entry : *told.find("entries")->list()) {
        const std::string path = *entry.document()->text("path");
        if (path.starts_with("n/")) watcher.heard += words_of(path, *entry.document()->text("address"));
      }
      watcher.any = true;
    }
    within(kThinkMost, [this, server] { watch(server); });
  });
}

// ---- the referee ----

void NameClients::given(int index, const ServiceAnswer& answer, Instant asked) {
  Client& client = clients_[index];
  const std::string name = member_of(answer, "path");
  const std::string address = member_of(answer, "address");
  const int64_t version = number_of(answer, "version");
  const std::string why = grants_.hear(name, version, index, asked, now());
  if (!why.empty()) return wrong("name " + why);
  for (const Client& other : clients_) {
    const bool believes = &other != &client && !other.name.empty() && other.session.empty();
    if (!believes || other.version > version || !calls_.runs(other.server)) continue;
    if (other.name != name && other.address != address) continue;
    return wrong(fmt::format("{} while s{} has not told its client that {} with {} is lost",
                             kvd::words_of(answer), other.server, other.name, other.address));
  }
  client.name = name;
  client.address = address;
  client.version = version;
  ++client.names_since;
}

void NameClients::on_zookeeper_changed() {
  std::map<std::string, std::string> names;  // by address
  for (auto it = tree().lower_bound(std::string(kAbove)); it != tree().end() && it->first.starts_with(kAbove);
       ++it) {
    if (json_member(it->second.data, "allocated") != "true") continue;
    const std::string name = "n/" + it->first.substr(kAbove.size());
    const auto [known, fresh] = names.emplace(json_member(it->second.data, "address"), name);
    if (!fresh) return wrong(fmt::format("{} and {} have the address {}", known->second, name, known->first));
    const auto claim = tree().find("/kvd/addresses/" + known->first);
    if (claim == tree().end() || claim->second.data != name)
      return wrong(fmt::format("the address {} of {} is not claimed for it", known->first, name));
  }
  const auto claims = tree().find("/kvd/addresses");
  if (claims != tree().end() && claims->second.children_count != static_cast<int32_t>(names.size()))
    wrong("an address is claimed for no name");
}

std::string NameClients::names_in_zookeeper() const {
  std::string all;
  for (auto it = tree().lower_bound(std::string(kAbove)); it != tree().end() && it->first.starts_with(kAbove);
       ++it)
    all += words_of("n/" + it->first.substr(kAbove.size()), json_member(it->second.data, "address"));
  return all;
}

void NameClients::on_progress_expected() {
  for (Client& client : clients_) client.names_since = 0;
  for (Watcher& watcher : watchers_) watcher.any = false;
}

std::string NameClients::stuck() const {
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i].names_since == 0) return fmt::format("name client {} gets none; ", i);
  }
  const std::string all = names_in_zookeeper();
  for (size_t i = 0; i < watchers_.size(); ++i) {
    if (!watchers_[i].any || watchers_[i].heard != all)
      return fmt::format("s{} tells of names\n{}in place of\n{}; ", i, watchers_[i].heard, all);
  }
  return {};
}

}  // namespace kvd::sim
