// Double barriers: places of members, from their entry to the last one's leave. See barriers.hpp.
#include <fmt/format.h>

#include <memory>

#include "base/json_writer.hpp"
#include "core/mutation.hpp"
#include "core/services/barriers/barriers.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

constexpr size_t kCheckBytes = 32;  // of one in a transaction, beside its path, or less
constexpr int kMakeAttempts = 8;    // to make a znode below a path that others remove
constexpr std::string_view kReady = "ready";
constexpr std::string_view kReleased = R"({"released_by":)";

std::string ready_path(const std::string& barrier) { return barrier + "/ready"; }

Document waiting_shown(uint64_t present, uint64_t size) {
  return Document().add("state", "waiting").add("present", present).add("size", size);
}

Document released_shown(std::string_view member) {
  return Document().add("state", "released").add("member", member);
}

Document left_shown() { return Document().add("state", "left"); }

// Of a member's: one of `ready`, one of another member, one of itself.
size_t member_watch_bytes(const Outbox& out, const std::string& barrier) {
  return 3 * out.watches.bytes_of(barrier);
}

std::vector<std::string> members_of(std::vector<std::string> children) {
  std::erase(children, kReady);
  return children;
}

// Of a session, as what it has lost. No path has a zero byte in it.
std::string place_of(const std::string& path, const std::string& member) {
  return path + std::string(1, '\0') + member;
}

bool is_known(ZkCode code) { return code == ZkCode::kOk || code == ZkCode::kNoNode; }

bool is_ours(const std::string& data) { return data.empty() || data.starts_with(kReleased); }

}  // namespace

// ---- what is asked ----

void Barriers::enter(ServiceAsked message) {
  const uint64_t size = *message.call.number(Parameter::kSize);
  std::string name = message.call.text(Parameter::kMember).value_or(out_.config.self.member.id.value);
  if (const auto lost = members_.losses().take(message.holder, place_of(message.call.path, name)))
    return reply(message.token, {ServiceStatus::kGone, *lost});
  std::optional<MemberId> id = find_place(message.holder, message.call.path, name);
  if (id && members_.at(*id).phase == Phase::kLeft) {  // and enters again
    members_.forget(*id);
    id.reset();
  }
  if (id && members_.at(*id).phase == Phase::kLeaving)
    return reply(message.token, {ServiceStatus::kConflict, "this member is about to leave"});
  if (id && members_.at(*id).size != size)
    return reply(message.token, {ServiceStatus::kConflict, "this member entered with another size"});
  const bool enters = !id;
  if (enters) {
    id = ++counter_;
    Member member;
    member.holder = message.holder;
    member.watch_bytes = member_watch_bytes(out_, message.call.path);
    member.path = std::move(message.call.path);
    member.member = std::move(name);
    member.size = size;
    member.name = fmt::format("{:016x}{:016x}", out_.prng.next(), out_.prng.next());
    if (!members_.add(*id, std::move(member)))
      return reply(message.token, {ServiceStatus::kUnavailable, kWatchesFull});
  }
  Member& member = members_.at(*id);
  members_.ask(message.token, *id);
  if (message.streams) {
    member.stream = message.token;
    members_.streams().open(*id, message.token);
  } else {
    member.entering.insert(message.token);
  }
  if (enters) return prepare(*id);
  answer(*id);
}

void Barriers::leave(ServiceAsked message) {
  const std::string name = message.call.text(Parameter::kMember).value_or(out_.config.self.member.id.value);
  if (const auto lost = members_.losses().take(message.holder, place_of(message.call.path, name)))
    return reply(message.token, {ServiceStatus::kGone, *lost});
  const auto id = find_place(message.holder, message.call.path, name);
  if (!id)
    return reply(message.token, {ServiceStatus::kNotFound, "the client's session has no such member there"});
  Member& member = members_.at(*id);
  members_.await_end(message.token, *id);
  if (member.phase == Phase::kReleased || std::exchange(member.stuck, false)) return begin_leaving(*id);
  if (member.phase == Phase::kLeaving || member.phase == Phase::kLeft) return answer(*id);
  for (const uint64_t token : std::exchange(member.entering, {}))
    reply(token, {ServiceStatus::kGone, "it has left"});
  members_.give_up(*id);  // it has never been in
}

std::optional<Barriers::MemberId> Barriers::find_place(HolderId holder, const std::string& path,
                                                       const std::string& name) const {
  return members_.find_of(holder,
                          [&](const Member& member) { return member.path == path && member.member == name; });
}

// ---- enters ----

// A former use's `ready` with nobody in goes first; then the watch for this one's, and only then the own znode.
void Barriers::prepare(MemberId id) {
  Member& member = members_.at(id);
  if (++member.attempts > kMakeAttempts)
    return members_.fail(id, {ServiceStatus::kUnavailable, "its path is removed again and again"});
  const auto barrier = std::make_shared<ZkResult>();
  zk_.call(ZkGet{member.path}, [barrier](const ZkResult& result) { *barrier = result; });
  zk_.call(ZkChildren{member.path}, [this, id, barrier](const ZkResult& result) {
    Member* mine = members_.find(id);
    if (mine == nullptr || members_.put_off(id, barrier->code) || members_.put_off(id, result.code)) return;
    if (mine->leaves) return members_.forget(id);
    for (const ZkCode code : {barrier->code, result.code})
      if (!is_known(code)) return fail(id, code);
    if (result.code == ZkCode::kNoNode) {
      zk_.make_path(mine->path, [this, id](ZkCode code) {
        Member* again = members_.find(id);
        if (again == nullptr || members_.put_off(id, code)) return;
        if (again->leaves) return members_.forget(id);
        if (code != ZkCode::kOk) return fail(id, code);
        create(id);
      });
      return;
    }
    if (result.children.size() == 1 && result.children.front() == kReady) clear_away(id, barrier->data);
    create(id);
  });
}

// The barrier's znode is made anew, which fails if anybody is in.
void Barriers::clear_away(MemberId id, const std::string& data) {
  const std::string& path = members_.at(id).path;
  if (!is_ours(data)) return;
  zk_.call(ZkMulti{{ZkDelete{ready_path(path)}, ZkDelete{path}, ZkCreate{path, "", ZkMode::kPersistent}}},
           [](const ZkResult&) {});
}

void Barriers::create(MemberId id) {
  const Member& member = members_.at(id);
  watch(id, ready_path(member.path));
  zk_.call(ZkExists{ready_path(member.path), true}, [this, id](const ZkResult& result) {
    if (Member* mine = members_.find(id)) mine->ready_absent = result.code == ZkCode::kNoNode;
  });
  zk_.call(ZkCreate{member.path + "/" + member.name, member.member, ZkMode::kEphemeral},
           [this, id](const ZkResult& result) { on_created(id, result); });
}

void Barriers::on_created(MemberId id, const ZkResult& result) {
  Member* member = members_.find(id);
  if (member == nullptr || members_.put_off(id, result.code)) return;
  if (result.code == ZkCode::kNoNode && !member->leaves) return prepare(id);
  if (result.code != ZkCode::kOk) return fail(id, result.code);
  there(id, result.stat.created_zxid);
}

void Barriers::there(MemberId id, int64_t czxid) {
  Member& member = members_.at(id);
  member.czxid = czxid;
  members_.there(id, member.path + "/" + member.name);
  member.leaves ? remove_own(id) : look(id);
}

// Its creation's outcome is unknown; its name tells.
void Barriers::find(MemberId id) {
  const Member& member = members_.at(id);
  zk_.call(ZkSync{member.path}, [](const ZkResult&) {});
  zk_.call(ZkExists{member.path + "/" + member.name}, [this, id](const ZkResult& result) {
    Member* mine = members_.find(id);
    if (mine == nullptr || members_.put_off(id, result.code)) return;
    if (result.code == ZkCode::kNoNode) return mine->leaves ? members_.forget(id) : prepare(id);
    if (result.code != ZkCode::kOk) return fail(id, result.code);
    there(id, result.stat.created_zxid);
  });
}

void Barriers::look(MemberId id) {
  const std::string& path = members_.at(id).path;
  if (!members_.at(id).own_watched) check_own(id);
  const auto barrier = std::make_shared<ZkResult>();
  const auto ready = std::make_shared<ZkResult>();
  zk_.call(ZkGet{path}, [barrier](const ZkResult& result) { *barrier = result; });
  zk_.call(ZkExists{ready_path(path), true}, [this, id, ready](const ZkResult& result) {
    *ready = result;
    if (Member* mine = members_.find(id)) mine->ready_absent = result.code == ZkCode::kNoNode;
  });
  zk_.call(ZkChildren{path},
           [this, id, barrier, ready](const ZkResult& result) { judge(id, *barrier, *ready, result); });
}

void Barriers::check_own(MemberId id) {
  Member& member = members_.at(id);
  if (member.leaves || member.czxid == 0 || member.phase > Phase::kReleased) return;
  member.own_watched = true;
  const bool watch = !mutated(Mutation::kMemberUnwatched);
  zk_.call(ZkExists{member.znode, watch}, [this, id](const ZkResult& result) {
    Member* mine = members_.find(id);
    if (mine == nullptr || mine->leaves || mine->phase > Phase::kReleased) return;
    if (result.code == ZkCode::kNoNode) return lose_deleted(id);
    if (result.code == ZkCode::kOk) return;
    mine->own_watched = false;
    if (!members_.put_off(id, result.code)) fail_known(id, result.code);
  });
}

void Barriers::judge(MemberId id, const ZkResult& barrier, const ZkResult& ready, const ZkResult& list) {
  Member* member = members_.find(id);
  if (member == nullptr || member->leaves || member->phase > Phase::kWaiting) return;
  if (members_.put_off(id, list.code) || members_.put_off(id, ready.code) ||
      members_.put_off(id, barrier.code))
    return;
  for (const ZkCode code : {list.code, ready.code, barrier.code})
    if (!is_known(code)) return fail_known(id, code);
  const std::vector<std::string> members = members_of(list.children);
  if (!std::binary_search(members.begin(), members.end(), member->name)) return lose_deleted(id);
  member->present = members.size();
  const bool there = ready.code == ZkCode::kOk;
  const bool was_there = barrier.data.starts_with(kReleased) && barrier.stat.modified_zxid > member->czxid;
  const bool younger = ready.stat.created_zxid > member->czxid || mutated(Mutation::kReadyTrusted);
  if (was_there || (there && younger)) return release(id);
  if (member->present >= member->size) return complete(id, barrier, members, there);
  waits(id);
}

// If it is still in itself, and so this use not over; and as many others as it takes, since who comes meanwhile counts
// on that. (Of more than one transaction carries, as many as it does.)
void Barriers::complete(MemberId id, const ZkResult& barrier, const std::vector<std::string>& members,
                        bool replace) {
  const Member& member = members_.at(id);
  const std::string ready = ready_path(member.path);
  ZkMulti multi{{ZkCheck{member.znode}}};
  size_t bytes = 0;
  for (const std::string& other : members) {
    bytes += member.path.size() + other.size() + kCheckBytes;
    if (multi.ops.size() >= member.size || bytes > limits::kZkData || mutated(Mutation::kOthersUnchecked))
      break;
    if (other != member.name) multi.ops.emplace_back(ZkCheck{member.path + "/" + other});
  }
  if (replace) multi.ops.emplace_back(ZkDelete{ready});
  multi.ops.emplace_back(ZkCreate{ready, "", ZkMode::kPersistent});
  if (is_ours(barrier.data)) {
    JsonWriter json;
    json.begin_object().member("released_by", member.name).end_object();
    multi.ops.emplace_back(ZkSet{member.path, json.take(), barrier.stat.version});
  }
  zk_.call(std::move(multi), [this, id](const ZkResult& result) {
    Member* mine = members_.find(id);
    if (mine == nullptr || mine->leaves || mine->phase > Phase::kWaiting || members_.put_off(id, result.code))
      return;
    switch (result.code) {
      case ZkCode::kOk:
        return release(id);
      case ZkCode::kNoNode:
      case ZkCode::kNodeExists:
      case ZkCode::kBadVersion:
        return look(id);  // somebody else was faster, or it is no more
      default:
        fail_known(id, result.code);
    }
  });
}

void Barriers::waits(MemberId id) {
  Member& member = members_.at(id);
  member.phase = Phase::kWaiting;
  members_.streams().say(id, waiting_shown(member.present, member.size));
  answer(id);
}

void Barriers::release(MemberId id) {
  Member& member = members_.at(id);
  member.phase = Phase::kReleased;
  watch(id, "");
  members_.streams().say(id, released_shown(member.name));
  if (member.stream) forget_until(*member.stream);  // it waits for nothing any more
  answer(id);
}

// ---- leaves ----

// What is refused is told to those who leave; who is in, and whether it is over, is not known then.
bool Barriers::may_go_on(MemberId id, ZkCode code) {
  if (is_known(code)) return true;
  if (members_.put_off(id, code)) return false;
  Member& member = members_.at(id);
  member.stuck = true;
  for (const uint64_t token : std::exchange(member.leaving, {})) refuse(token, code);
  return false;
}

void Barriers::begin_leaving(MemberId id) {
  Member& member = members_.at(id);
  member.phase = Phase::kLeaving;
  zk_.call(ZkDelete{ready_path(member.path)}, [this, id](const ZkResult& result) {
    Member* mine = members_.find(id);
    if (mine == nullptr || mine->leaves || !may_go_on(id, result.code)) return;
    mine->ready_gone = true;
    look_who_is_left(id);
  });
}

void Barriers::look_who_is_left(MemberId id) {
  watch(id, "");
  zk_.call(ZkChildren{members_.at(id).path}, [this, id](const ZkResult& result) {
    Member* member = members_.find(id);
    if (member == nullptr || member->leaves || !may_go_on(id, result.code)) return;
    std::vector<std::string> left = members_of(result.children);
    // The next use's members are none of ours.
    if (!member->looked) member->generation = {left.begin(), left.end()};
    std::erase_if(left, [member](const std::string& name) { return !member->generation.contains(name); });
    member->looked = true;
    member->present = left.size();
    if (left.empty()) return has_left(id);
    const bool own = std::binary_search(left.begin(), left.end(), member->name);
    if (!own) return wait_for(id, left.front());
    if (left.size() > 1 && left.front() == member->name) return wait_for(id, left.back());
    go_away(id, left.size() == 1);
  });
}

// Where it may not be read, its existence is watched, which nobody can forbid.
void Barriers::wait_for(MemberId id, const std::string& name, bool readable) {
  const std::string path = members_.at(id).path + "/" + name;
  watch(id, path);
  const ZkRequest request = readable ? ZkRequest(ZkGet{path, true}) : ZkRequest(ZkExists{path, true});
  zk_.call(request, [this, id, name, readable](const ZkResult& result) {
    const Member* member = members_.find(id);
    if (member == nullptr || member->leaves) return;
    if (result.code == ZkCode::kNoAuth && readable) return wait_for(id, name, false);
    if (!may_go_on(id, result.code)) return;
    if (result.code == ZkCode::kNoNode) return look_who_is_left(id);
    answer(id);
  });
}

void Barriers::go_away(MemberId id, bool last) {
  zk_.call(ZkDelete{members_.at(id).znode}, [this, id, last](const ZkResult& result) {
    Member* mine = members_.find(id);
    if (mine == nullptr || mine->leaves || !may_go_on(id, result.code)) return;
    mine->own_gone = true;
    if (last || mutated(Mutation::kLeftAlone)) return has_left(id);
    look_who_is_left(id);
  });
}

void Barriers::has_left(MemberId id) {
  members_.at(id).phase = Phase::kLeft;
  answer(id);
}

// ---- answers ----

void Barriers::answer(MemberId id) {
  Member& member = members_.at(id);
  const auto waits = [this](uint64_t token) {
    const Instant until = until_.at(token);
    if (until > out_.now) untils_.emplace(until, token);
    return until > out_.now;
  };
  const std::set<uint64_t> entering = member.entering;
  for (const uint64_t token : entering) {
    if (member.phase == Phase::kEntering || (member.phase == Phase::kWaiting && waits(token))) continue;
    member.entering.erase(token);
    member.known = true;
    if (member.phase == Phase::kWaiting) {
      reply(token, {ServiceStatus::kAccepted, waiting_shown(member.present, member.size)});
    } else {
      reply(token, {ServiceStatus::kOk, released_shown(member.name)});
    }
  }
  const std::set<uint64_t> leaving = member.leaving;
  for (const uint64_t token : leaving) {
    if (member.phase != Phase::kLeft && (!member.looked || waits(token))) continue;
    member.leaving.erase(token);
    if (member.phase == Phase::kLeft) {
      reply(token, {ServiceStatus::kOk, left_shown()});
    } else {
      reply(token,
            {ServiceStatus::kAccepted, Document().add("state", "leaving").add("present", member.present)});
    }
  }
  if (member.phase == Phase::kLeft && !leaving.empty()) return members_.forget(id);
  if (member.stream && member.phase == Phase::kWaiting && !waits(*member.stream)) {
    members_.streams().end(id, timeout_line());
    members_.give_up(id);
  }
}

// Also of those who leave.
bool Barriers::end_calls(MemberId id, const ServiceAnswer& answer) {
  Member& member = members_.at(id);
  for (const uint64_t token : std::exchange(member.entering, {})) reply(token, answer);
  for (const uint64_t token : std::exchange(member.leaving, {})) reply(token, answer);
  end_stream(member);
  // Who has been released is let go slowly; who has not must not release others any more.
  return member.phase >= Phase::kReleased;
}

void Barriers::end_stream(Member& member) {
  if (!member.stream) return;
  const uint64_t token = *std::exchange(member.stream, std::nullopt);
  forget_until(token);
  members_.forget_asker(token);
}

void Barriers::unasked(MemberId id, uint64_t token) {
  Member& member = members_.at(id);
  member.entering.erase(token);
  if (!member.known && member.entering.empty() && !member.stream)
    members_.give_up(id);  // a place that nobody knows of
}

void Barriers::fail(MemberId id, ZkCode code) { members_.fail(id, zk_refusal(code, true)); }

// Its znode is there, and has to go.
void Barriers::fail_known(MemberId id, ZkCode code) {
  members_.refuse(id, zk_refusal(code, true));
  members_.give_up(id);
}

// By others.
void Barriers::lose_deleted(MemberId id) {
  const Member& member = members_.at(id);
  const bool heard = members_.streams().has(id) || !member.entering.empty() || !member.leaving.empty();
  if (!heard) members_.losses().add(member.holder, place_of(member.path, member.member), kZnodeDeleted);
  if (member.ready_absent) out_.watches.leave_behind(ready_path(member.path));
  members_.lose(id, kZnodeDeleted);
}

// ---- its end ----

// One that may not be removed stays until that is allowed.
void Barriers::remove_own(MemberId id) {
  Member& member = members_.at(id);
  end_stream(member);
  if (std::exchange(member.ready_absent, false)) out_.watches.leave_behind(ready_path(member.path));
  watch(id, "");
  if (member.own_gone || member.phase == Phase::kLeft) return members_.forget(id);
  if (member.czxid == 0) return;  // what is under way looks at `leaves` when it has its answer
  zk_.call(ZkDelete{member.znode}, [this, id](const ZkResult& result) {
    Member* mine = members_.find(id);
    if (mine == nullptr) return;
    if (is_known(result.code)) return members_.forget(id);
    for (const uint64_t token : std::exchange(mine->leaving, {})) {
      if (zk_silent(result.code)) {
        reply(token, {ServiceStatus::kUnknown, "ZooKeeper did not answer; it leaves as soon as it does"});
      } else {
        refuse(token, result.code);
      }
    }
    members_.stays(id, result.code);
  });
}

void Barriers::forgotten(MemberId id, Member& member) {
  for (const uint64_t token : std::exchange(member.leaving, {}))
    reply(token, {ServiceStatus::kOk, left_shown()});
  watch_no_more(id, member.watched);
}

// ---- ZooKeeper ----

// One path each: the former one is no more of interest.
void Barriers::watch(MemberId id, std::string path) {
  Member& member = members_.at(id);
  watch_no_more(id, member.watched);
  if (!path.empty()) watched_.emplace(path, id);
  member.watched = std::move(path);
}

void Barriers::watch_no_more(MemberId id, const std::string& path) {
  const auto [begin, end] = watched_.equal_range(path);
  const auto one = std::find_if(begin, end, [id](const auto& each) { return each.second == id; });
  if (one != end) watched_.erase(one);
}

// What it watches has changed, or may have. Where `ready` was absent the event says that it came, and that counts even
// if it is gone again: those in front may be leaving. An event from before the own znode was made says nothing.
void Barriers::woken(MemberId id) {
  Member& member = members_.at(id);
  if (member.leaves || member.watched.empty()) return;
  const bool came = std::exchange(member.ready_absent, false) && member.czxid != 0;
  if (member.phase == Phase::kLeaving) return look_who_is_left(id);
  if (came) return release(id);
  if (member.phase == Phase::kWaiting) look(id);
}

void Barriers::go_on(MemberId id) {
  const Member& member = members_.at(id);
  if (member.phase <= Phase::kWaiting) {
    look(id);
  } else if (member.phase == Phase::kReleased) {
    check_own(id);
  } else if (member.phase == Phase::kLeaving && !member.ready_gone) {
    begin_leaving(id);
  } else if (member.phase == Phase::kLeaving) {
    look_who_is_left(id);
  }
}

}  // namespace kvd
