// What clients hold by a service, from the wish to its certain end: who has it, in which znode it stands, the lines to
// whose connection holds it (streams.hpp), whose call waits for it, what sessions lost unheard (losses.hpp), and what
// goes on when ZooKeeper answers again (adrift.hpp). What ends is forgotten in all of these at once.
//
// The end of a holder: those who ask hear so. Who may believe to have it hears that it is lost, and has its time to let
// go before others can have it. Then it leaves: its znode is removed, now or as soon as that is known and possible.
//
//   held     since add()
//   over     take_back(), and its client may still believe to have it: until the grace ends, or it hangs up
//   leaves   give_up(): the hook `remove` is asked for, until it was done (not_left() and stays() say that it was not)
//   gone     forget(); at once by lose() and fail(), when there is nothing of it in ZooKeeper
//
// A part of the actor that owns it, which names what is held by keys of its own, and derives from Holding what it knows
// of each.
#pragma once
#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "core/outbox.hpp"
#include "core/services/adrift.hpp"
#include "core/services/losses.hpp"
#include "core/services/streams.hpp"
#include "core/services/zk_refusal.hpp"

namespace kvd {

inline constexpr char kSessionEnded[] = "the ZooKeeper session of this server has ended";

struct Holding {
  HolderId holder;
  size_t watch_bytes = 0;      // bytes in the account of watches
  std::string znode;           // its path; empty: not known to be there
  bool over = false;           // taken back: it has to go once its client had time to hear of it ...
  bool leaves = false;         // ... or now
  std::set<uint64_t> leaving;  // calls that wait for its end
};

template <class Key, class Thing>
class Holdings {
 public:
  struct Hooks {
    // What was put off goes on: where its znode is not known; where it is, and is to stay ...
    std::function<void(const Key&)> find;
    std::function<void(const Key&)> check;
    // ... and where it has to go; also as soon as that is so, be its znode known or not.
    std::function<void(const Key&)> remove;
    // It is not to be had any more: that is told to those who ask for it. True: its client may believe to have it.
    std::function<bool(const Key&, const ServiceAnswer&)> end_calls;
    std::function<void(const Key&, uint64_t token)> unasked;  // one who asked is gone
    std::function<void(const Key&, Thing&)> forgotten;        // what it was; may be empty
  };
  Holdings(Outbox& out, Hooks hooks) : out_(out), hooks_(std::move(hooks)), streams_(out), adrift_(out) {}

  // ---- who holds what ----
  // False: this server watches as much as it may already.
  bool add(const Key& key, Thing thing);
  Thing* find(const Key& key) { return things_.contains(key) ? &things_.at(key) : nullptr; }
  const Thing* find(const Key& key) const { return things_.contains(key) ? &things_.at(key) : nullptr; }
  Thing& at(const Key& key) { return things_.at(key); }
  const Thing& at(const Key& key) const { return things_.at(key); }
  // One of the holder's that is not taken back.
  template <class Is>
  std::optional<Key> find_of(HolderId holder, Is is) const;
  std::vector<Key> keys() const;
  const std::map<Key, Thing>& all() const { return things_; }
  // It is there, in that znode.
  void there(const Key& key, std::string znode);
  std::optional<Key> in(const std::string& znode) const;

  // ---- whom to tell ----
  Streams<Key>& streams() { return streams_; }
  const Streams<Key>& streams() const { return streams_; }
  std::vector<Key> streamed() const;  // those that are there by a connection, in their znodes' order
  Losses& losses() { return losses_; }
  void ask(uint64_t token, const Key& key) { askers_.insert_or_assign(token, key); }
  void await_end(uint64_t token, const Key& key);  // likewise
  void forget_asker(uint64_t token) { askers_.erase(token); }
  const Key& asked(uint64_t token) const { return askers_.at(token); }
  void reply(uint64_t token, ServiceAnswer answer);

  // ---- ends ----
  // With its holder, or by others: who has it is told, and it leaves after `grace` if that was believed, or at once.
  void take_back(const Key& key, const std::string& why, Duration grace);
  void give_up(const Key& key);  // it leaves at once
  // Its znode cannot be removed now: those who wait for that hear why ...
  void not_left(const Key& key, ZkCode code);
  // ... and it is tried again.
  void stays(const Key& key, ZkCode code, Duration pause = kZkRefusedRetry);
  void refuse(const Key& key, const ServiceAnswer& answer);  // to all who want it
  void fail(const Key& key, const ServiceAnswer& answer);    // likewise, and there is nothing of it
  void lose(const Key& key, const std::string& why);         // there is nothing of it any more
  void lose_all(const std::string& why);
  // Those who still wait for its end hear of it.
  void forget(Key key);

  // ---- what happens ----
  void on(const HoldersEnded& message);
  void on(const ServiceDropped& message);
  bool on(const ZkSessionChanged& message);  // true: to another session, of which there is nothing
  uint64_t session() const { return session_; }
  bool connected() const { return adrift_.connected(); }
  bool put_off(const Key& key, ZkCode code) { return adrift_.put_off(key, code); }
  void put_off(const Key& key, Duration pause) { adrift_.put_off(key, pause); }
  void forget_adrift(const Key& key) { adrift_.forget(key); }
  bool is_adrift(const Key& key) const { return adrift_.has(key); }
  void go_on_adrift();
  void on_time();
  Instant deadline() const { return std::min(streams_.deadline(), adrift_.deadline()); }

 private:
  static ServiceAnswer gone(const std::string& why) { return {ServiceStatus::kGone, why}; }

  Outbox& out_;
  Hooks hooks_;
  Streams<Key> streams_;
  Adrift<Key> adrift_;
  Losses losses_;
  uint64_t session_ = 0;  // ZooKeeper's, the last one
  std::map<Key, Thing> things_;
  std::set<std::pair<HolderId, Key>> by_holder_;
  std::map<std::string, Key> by_znode_;
  std::map<uint64_t, Key> askers_;  // and those who wait for its end
};

template <class Key, class Thing>
bool Holdings<Key, Thing>::add(const Key& key, Thing thing) {
  if (!out_.watches.take(thing.watch_bytes)) return false;
  by_holder_.emplace(thing.holder, key);
  things_.emplace(key, std::move(thing));
  return true;
}

template <class Key, class Thing>
template <class Is>
std::optional<Key> Holdings<Key, Thing>::find_of(HolderId holder, Is is) const {
  for (auto it = by_holder_.lower_bound({holder, Key()}); it != by_holder_.end() && it->first == holder;
       ++it) {
    const Thing& thing = things_.at(it->second);
    if (!thing.over && is(thing)) return it->second;
  }
  return std::nullopt;
}

template <class Key, class Thing>
std::vector<Key> Holdings<Key, Thing>::keys() const {
  std::vector<Key> keys;
  for (const auto& [key, thing] : things_) keys.push_back(key);
  return keys;
}

template <class Key, class Thing>
void Holdings<Key, Thing>::there(const Key& key, std::string znode) {
  by_znode_.insert_or_assign(znode, key);
  things_.at(key).znode = std::move(znode);
}

template <class Key, class Thing>
std::optional<Key> Holdings<Key, Thing>::in(const std::string& znode) const {
  const auto it = by_znode_.find(znode);
  return it == by_znode_.end() ? std::nullopt : std::optional(it->second);
}

template <class Key, class Thing>
std::vector<Key> Holdings<Key, Thing>::streamed() const {
  std::vector<Key> keys;
  for (const auto& [znode, key] : by_znode_) {
    if (streams_.has(key)) keys.push_back(key);
  }
  return keys;
}

template <class Key, class Thing>
void Holdings<Key, Thing>::await_end(uint64_t token, const Key& key) {
  ask(token, key);
  at(key).leaving.insert(token);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::reply(uint64_t token, ServiceAnswer answer) {
  askers_.erase(token);
  out_.service_router.post(ServiceAnswered{token, std::move(answer), false, true});
}

template <class Key, class Thing>
void Holdings<Key, Thing>::take_back(const Key& key, const std::string& why, Duration grace) {
  const Thing& thing = things_.at(key);
  if (thing.leaves || (thing.over && grace != Duration(0))) return;
  const HolderId holder = thing.holder;
  const bool believed = hooks_.end_calls(key, gone(why));
  Thing* left = find(key);
  // It was nothing but a call, and by now somebody else may be in its place.
  if (left == nullptr || left->leaves || left->holder != holder) return;
  if (!streams_.part(key, why, believed ? grace : Duration(0))) return give_up(key);
  left->over = true;
}

template <class Key, class Thing>
void Holdings<Key, Thing>::give_up(const Key& key) {
  Thing& thing = things_.at(key);
  thing.over = true;
  if (!std::exchange(thing.leaves, true)) hooks_.remove(key);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::not_left(const Key& key, ZkCode code) {
  ServiceAnswer answer = zk_refusal(code, true);
  if (zk_silent(code)) {
    answer.status = ServiceStatus::kUnknown;
    answer.why = "ZooKeeper did not answer; it is given back as soon as it does";
  }
  for (const uint64_t token : std::exchange(things_.at(key).leaving, {})) reply(token, answer);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::stays(const Key& key, ZkCode code, Duration pause) {
  not_left(key, code);
  if (!adrift_.put_off(key, code)) adrift_.put_off(key, pause);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::refuse(const Key& key, const ServiceAnswer& answer) {
  hooks_.end_calls(key, answer);
  if (const auto token = streams_.refuse(key)) reply(*token, answer);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::fail(const Key& key, const ServiceAnswer& answer) {
  refuse(key, answer);
  forget(key);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::lose(const Key& key, const std::string& why) {
  hooks_.end_calls(key, gone(why));
  streams_.end_lost(key, why);
  forget(key);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::lose_all(const std::string& why) {
  while (!things_.empty()) lose(things_.begin()->first, why);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::forget(Key key) {
  const auto it = things_.find(key);
  CHECK(it != things_.end());
  Thing was = std::move(it->second);
  by_holder_.erase({was.holder, key});
  if (const auto own = by_znode_.find(was.znode); own != by_znode_.end() && own->second == key)
    by_znode_.erase(own);
  streams_.forget(key);
  adrift_.forget(key);
  out_.watches.give_back(was.watch_bytes);
  things_.erase(it);
  if (hooks_.forgotten) hooks_.forgotten(key, was);
  for (const uint64_t token : was.leaving) reply(token, {});
}

template <class Key, class Thing>
void Holdings<Key, Thing>::on(const HoldersEnded& message) {
  std::vector<Key> theirs;
  for (const HolderId holder : message.holders) {
    losses_.forget(holder);
    for (auto it = by_holder_.lower_bound({holder, Key()}); it != by_holder_.end() && it->first == holder;
         ++it)
      theirs.push_back(it->second);
  }
  for (const Key& key : theirs) take_back(key, message.why, message.grace);
}

template <class Key, class Thing>
void Holdings<Key, Thing>::on(const ServiceDropped& message) {
  const std::optional<Key> streamed = streams_.dropped(message.token);
  const auto asker = askers_.extract(message.token);
  if (streamed) return give_up(*streamed);
  if (asker.empty() || things_.at(asker.mapped()).leaving.erase(message.token) > 0) return;
  hooks_.unasked(asker.mapped(), message.token);
}

template <class Key, class Thing>
bool Holdings<Key, Thing>::on(const ZkSessionChanged& message) {
  adrift_.on(message);
  return adrift_.connected() && std::exchange(session_, message.session) != message.session;
}

template <class Key, class Thing>
void Holdings<Key, Thing>::go_on_adrift() {
  for (const Key& key : adrift_.take()) {
    const Thing& thing = things_.at(key);
    const auto& next = thing.znode.empty() ? hooks_.find : thing.leaves ? hooks_.remove : hooks_.check;
    next(key);
  }
}

template <class Key, class Thing>
void Holdings<Key, Thing>::on_time() {
  for (const Key& key : streams_.on_time()) give_up(key);
  if (adrift_.deadline() <= out_.now) go_on_adrift();
}

}  // namespace kvd
