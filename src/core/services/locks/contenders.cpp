// See contenders.hpp.
#include "core/services/locks/contenders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/mutation.hpp"
#include "core/services/zk_refusal.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr std::string_view kLockMark = "__lock__";
constexpr std::string_view kReaderMark = "__rlock__";
constexpr std::string_view kLastNumber = "2147483647";

// Of a place: the one before it, and itself.
size_t place_watch_bytes(const Outbox& out, const std::string& path) {
  return 2 * out.watches.bytes_of(path);
}

// What orders a place: the number at its end, behind its mark, as a text of ten digits, or behind a minus of nine or
// ten.
std::optional<std::string_view> sequence_of(std::string_view name) {
  const size_t before = name.find_last_not_of("0123456789");
  if (before == std::string_view::npos) return std::nullopt;
  const bool negative = name[before] == '-';
  const size_t digits = name.size() - before - 1;
  if (digits != kSequenceDigits && !(negative && digits == kSequenceDigits - 1)) return std::nullopt;
  const std::string_view mark = name.substr(0, negative ? before : before + 1);
  if (!mark.ends_with(kLockMark) && !mark.ends_with(kReaderMark)) return std::nullopt;
  return name.substr(mark.size());
}

// Whoever comes later has a larger one.
bool is_behind_all(std::string_view name) {
  const auto sequence = sequence_of(name);
  return sequence && sequence->front() != '-' && *sequence < kLastNumber;
}

}  // namespace

std::vector<std::string> places_in_order(const std::vector<std::string>& children) {
  std::vector<std::string> places;
  std::copy_if(children.begin(), children.end(), std::back_inserter(places),
               [](const std::string& name) { return sequence_of(name).has_value(); });
  std::sort(places.begin(), places.end(), [](const std::string& a, const std::string& b) {
    return std::pair(*sequence_of(a), std::string_view(a)) < std::pair(*sequence_of(b), std::string_view(b));
  });
  return places;
}

std::optional<PlaceId> Contenders::join(std::string path, std::string data) {
  if (!out_.watches.take(place_watch_bytes(out_, path))) return std::nullopt;
  const PlaceId id(++counter_);
  Place place;
  place.path = std::move(path);
  place.guid = new_guid();
  place.data = std::move(data);
  places_.emplace(id, std::move(place));
  create(id);
  return id;
}

std::string Contenders::new_guid() {
  return fmt::format("{:016x}{:016x}", out_.prng.next(), out_.prng.next());
}

void Contenders::leave(PlaceId id) {
  Place& place = places_.at(id);
  if (std::exchange(place.leaving, true)) return;
  // What is under way looks at `leaving` when it has its answer.
  if (place.phase == Phase::kWaiting || place.phase == Phase::kHolding) remove(id);
}

Contenders::Place* Contenders::find_place(PlaceId id) {
  const auto it = places_.find(id);
  return it == places_.end() ? nullptr : &it->second;
}

void Contenders::forget(PlaceId id) {
  Place& place = places_.at(id);
  forget_before(id);
  if (!place.znode.empty()) concern_no_more(znode_path(place), id);
  out_.watches.give_back(place_watch_bytes(out_, place.path));
  places_.erase(id);
}

void Contenders::concern(const std::string& path, PlaceId id) { concerned_.emplace(path, id); }

void Contenders::concern_no_more(const std::string& path, PlaceId id) {
  const auto [begin, end] = concerned_.equal_range(path);
  const auto one = std::find_if(begin, end, [id](const auto& each) { return each.second == id; });
  if (one != end) concerned_.erase(one);
}

// Its watch may stand all the same.
void Contenders::forget_before(PlaceId id) {
  Place& place = places_.at(id);
  if (place.before.empty()) return;
  if (std::exchange(place.before_watched, false)) out_.watches.leave_behind(place.before);
  concern_no_more(place.before, id);
  place.before.clear();
}

// What is there of it goes, now or when ZooKeeper is back.
void Contenders::refuse(PlaceId id, ServiceAnswer why) {
  Place& place = places_.at(id);
  if (place.leaving) return place.znode.empty() ? lose(id, "") : remove(id);
  place.leaving = place.refused = true;
  events_.refused(id, std::move(why));
  place.znode.empty() ? forget(id) : remove(id);
}

void Contenders::lose(PlaceId id, std::string why) {
  const bool leaving = places_.at(id).leaving;
  const bool refused = places_.at(id).refused;
  forget(id);
  if (refused) return;
  if (leaving) {
    events_.left(id, ZkCode::kOk);
  } else {
    events_.lost(id, std::move(why));
  }
}

// Nothing was learned: it goes on when there is a connection again, or is still.
bool Contenders::put_off(PlaceId id, ZkCode code) {
  if (!adrift_.put_off(id, code)) return false;
  places_.at(id).phase = Phase::kAdrift;
  return true;
}

// ---- a znode of our own ----

void Contenders::create(PlaceId id) {
  Place& place = places_.at(id);
  place.phase = Phase::kCreating;
  zk_.call(ZkCreate{fmt::format("{}/{}{}", place.path, place.guid, kLockMark), place.data,
                    ZkMode::kEphemeralSequential},
           [this, id](const ZkResult& result) { on_created(id, result); });
}

void Contenders::on_created(PlaceId id, const ZkResult& result) {
  Place* place = find_place(id);
  if (place == nullptr) return;  // ZooKeeper's session ended meanwhile, and the place with it
  switch (result.code) {
    case ZkCode::kOk:
      return there(id, result.path.substr(place->path.size() + 1));
    case ZkCode::kNoNode:
      if (place->leaving || std::exchange(place->made_path, true)) return lose(id, "its path was removed");
      zk_.make_path(place->path, [this, id](ZkCode code) {
        Place* again = find_place(id);
        if (again == nullptr || put_off(id, code)) return;
        code == ZkCode::kOk ? create(id) : refuse(id, zk_refusal(code, true));
      });
      return;
    case ZkCode::kUnknown:  // its guid will tell whether it is there
    case ZkCode::kNotConnected:
      put_off(id, result.code);
      return;
    default:
      refuse(id, zk_refusal(result.code, true));
  }
}

void Contenders::there(PlaceId id, std::string znode) {
  Place& place = places_.at(id);
  place.znode = std::move(znode);
  concern(znode_path(place), id);
  if (is_behind_all(place.znode)) return go_on(id);
  refuse(id,
         {ServiceStatus::kConflict,
          fmt::format("the numbers of {} are used up: delete that znode when nobody stands there, and they "
                      "begin anew",
                      place.path)});
}

// What the session's server shows may be old, and a place that is overlooked would hold for ever: hence the sync.
void Contenders::find(PlaceId id) {
  Place& place = places_.at(id);
  place.phase = Phase::kFinding;
  zk_.call(ZkSync{place.path}, [this, id](const ZkResult& synced) {
    Place* found = find_place(id);
    if (found == nullptr || put_off(id, synced.code)) return;
    zk_.call(ZkChildren{found->path}, [this, id](const ZkResult& result) { on_found(id, result); });
  });
}

void Contenders::on_found(PlaceId id, const ZkResult& result) {
  Place* place = find_place(id);
  if (place == nullptr || put_off(id, result.code)) return;
  if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode)
    return refuse(id, zk_refusal(result.code, true));
  for (const std::string& name : result.children) {
    if (name.starts_with(place->guid)) return there(id, name);
  }
  if (place->leaving) return lose(id, "");
  create(id);
}

// ---- where it stands ----

void Contenders::go_on(PlaceId id) {
  if (places_.at(id).leaving) return remove(id);
  look(id);
}

void Contenders::look(PlaceId id) {
  Place& place = places_.at(id);
  place.phase = Phase::kLooking;
  place.first = false;
  zk_.call(ZkChildren{place.path}, [this, id](const ZkResult& result) { on_listed(id, result); });
}

void Contenders::on_listed(PlaceId id, const ZkResult& result) {
  Place* place = find_place(id);
  if (place == nullptr || put_off(id, result.code)) return;
  if (place->leaving) return remove(id);
  if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode)
    return refuse(id, zk_refusal(result.code, true));
  const std::vector<std::string> all = places_in_order(result.children);
  const auto own = std::find(all.begin(), all.end(), place->znode);
  if (own == all.end()) return lose(id, kZnodeDeleted);
  place->first = own == all.begin();
  if (place->first) return place->own_watched ? hold(id) : check_own(id);
  place->ahead = static_cast<size_t>(own - all.begin());
  const std::string before = place->path + "/" + *std::prev(own);
  if (before != place->before) {
    forget_before(id);
    place->before = before;
    concern(before, id);
  }
  check_predecessor(id);
  if (!place->own_watched) check_own(id);
}

// It may go without having held: hence the new look when it does.
void Contenders::check_predecessor(PlaceId id) {
  Place& place = places_.at(id);
  place.phase = Phase::kLooking;
  zk_.call(ZkExists{place.before, true}, [this, id, before = place.before](const ZkResult& result) {
    Place* waiting = find_place(id);
    const bool stands = result.code == ZkCode::kOk;
    if (waiting == nullptr || waiting->before != before) {
      if (stands) out_.watches.leave_behind(before);
      return;
    }
    if (put_off(id, result.code)) return;
    waiting->before_watched = stands;
    if (waiting->leaving) return remove(id);
    if (result.code == ZkCode::kNoNode) return look_woken(id);
    if (!stands) return refuse(id, zk_refusal(result.code, true));
    waiting->phase = Phase::kWaiting;
    events_.waits(id, waiting->ahead);
  });
}

// The one before it is no longer what it was, and most often this one is the first now.
void Contenders::look_woken(PlaceId id) {
  if (!mutated(Mutation::kPredecessorTrusted)) return look(id);
  places_.at(id).first = true;
  check_own(id);
}

// Whether the znode is ours and there; that of the first one holds then.
void Contenders::check_own(PlaceId id) {
  const Place& place = places_.at(id);
  const bool watch = !mutated(Mutation::kPlaceUnwatched);
  zk_.call(ZkExists{znode_path(place), watch}, [this, id](const ZkResult& result) {
    Place* own = find_place(id);
    if (own == nullptr || put_off(id, result.code)) return;
    if (own->leaving) return remove(id);
    if (take_own(id, result) && own->first) hold(id);
  });
}

bool Contenders::take_own(PlaceId id, const ZkResult& result) {
  Place& own = places_.at(id);
  if (result.code == ZkCode::kNoNode) return lose(id, kZnodeDeleted), false;
  if (result.code != ZkCode::kOk) return refuse(id, zk_refusal(result.code, true)), false;
  if (result.stat.ephemeral_owner != session_) return lose(id, "its znode is another one's"), false;
  own.own_watched = true;
  own.fence = result.stat.created_zxid;
  return true;
}

void Contenders::hold(PlaceId id) {
  Place& place = places_.at(id);
  place.phase = Phase::kHolding;
  forget_before(id);
  events_.held(id, place.fence);
}

// One that may not be removed stays, and keeps others waiting, until that is allowed.
void Contenders::remove(PlaceId id) {
  Place& place = places_.at(id);
  place.phase = Phase::kLooking;
  forget_before(id);
  zk_.call(ZkDelete{znode_path(place)}, [this, id](const ZkResult& result) {
    Place* leaving = find_place(id);
    if (leaving == nullptr) return;
    if (result.code == ZkCode::kOk || result.code == ZkCode::kNoNode) return lose(id, "");
    if (!put_off(id, result.code)) {
      leaving->phase = Phase::kAdrift;
      adrift_.put_off(id, kZkRefusedRetry);
    }
    if (!leaving->refused) events_.left(id, result.code);
  });
}

// ---- ZooKeeper ----

void Contenders::on(const ZkWatchFired& message) {
  std::vector<PlaceId> woken;
  const auto [begin, end] = concerned_.equal_range(message.path);
  for (auto it = begin; it != end; ++it) woken.push_back(it->second);
  for (const PlaceId id : woken) {
    Place& place = places_.at(id);
    const bool own = message.path != place.before;
    (own ? place.own_watched : place.before_watched) = false;
    if (place.leaving || place.phase == Phase::kAdrift) continue;  // it will look
    if (own) {
      check_own(id);
    } else if (place.phase == Phase::kWaiting) {
      look_woken(id);
    }
  }
}

// With the session end all its znodes. After a mere reconnection each place goes on where it was; what it watched may
// have changed unseen, so that is asked again, and nothing else: a thousand places are two thousand small calls.
void Contenders::on(const ZkSessionChanged& message) {
  adrift_.on(message);
  if (!adrift_.connected()) return;
  const bool other = std::exchange(session_, message.session) != message.session;
  for (const PlaceId id : all_places()) {
    Place& place = places_.at(id);
    place.own_watched = false;
    if (other) place.before_watched = false;
    if (other && !place.znode.empty()) {
      lose(id, "the ZooKeeper session ended");
      continue;
    }
    if (other) place.guid = new_guid();  // what a former session made under that name is not ours
    const bool waits = place.phase == Phase::kWaiting;
    if (waits) check_predecessor(id);
    if (waits || place.phase == Phase::kHolding) check_own(id);
  }
  go_on_adrift();
}

void Contenders::go_on_adrift() {
  for (const PlaceId id : adrift_.take()) {
    const Place* place = find_place(id);
    if (place == nullptr || place->phase != Phase::kAdrift) continue;
    if (place->znode.empty()) {
      find(id);
    } else {
      go_on(id);
    }
  }
}

void Contenders::on_time() {
  if (adrift_.deadline() <= out_.now) go_on_adrift();
}

std::vector<PlaceId> Contenders::all_places() const {
  std::vector<PlaceId> all;
  for (const auto& [id, place] : places_) all.push_back(id);
  return all;
}

}  // namespace kvd
