// See checkers.hpp: the rules about nodes and the register. Those about answers to clients:
// reply_checkers.cpp.
#include "checkers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "msg/history.hpp"

namespace kvd::sim {
namespace {

std::string name(const Member& member) {
  return fmt::format("{}/{:x}", member.id.value, member.incarnation.value);
}

bool contains(const std::vector<Member>& members, const Member& member) {
  return std::find(members.begin(), members.end(), member) != members.end();
}

}  // namespace

void Checkers::on_started(int server, const Member& member, EntryAt entry_at) {
  const bool excused = servers_[server].excused;
  servers_[server] = Server{};
  servers_[server].excused = excused;
  servers_[server].alive = true;
  servers_[server].member = member;
  servers_[server].entry_at = std::move(entry_at);
}

void Checkers::on_died(int server) {
  const bool excused = servers_[server].excused;
  servers_[server] = Server{};
  servers_[server].excused = excused;
}

bool Checkers::lives(const Member& member) const {
  return std::any_of(servers_.begin(), servers_.end(),
                     [&](const Server& server) { return server.alive && server.member == member; });
}

Revision Checkers::copy_of(int server) const {
  return servers_[server].seen ? servers_[server].view.commit : Revision();
}

Revision Checkers::oldest_copy(int server) const {
  Revision oldest = copy_of(server);
  for (const Server& other : servers_) {
    if (other.alive && other.seen && other.view.leading) oldest = std::min(oldest, other.view.commit);
  }
  return oldest;
}

void Checkers::on_turn(int index, const NodeView& view) {
  Server& server = servers_[index];
  if (server.seen) {
    check_monotonic(index, view);
  } else {
    server.checked = view.log_base;
  }
  const bool new_lineage = server.seen && server.view.lineage != view.lineage;
  server.view = view;
  server.member = view.self;  // its disk may have told it who it is
  server.seen = true;
  if (server.excused && view.commit >= committed_.newest() && !view.leading) server.excused = false;
  if (new_lineage) server.checked = lineage_base(view.lineage);
  if (view.leading) check_one_leader(view);
  note_appended(server, view);
  const Revision newest_before = committed_.newest();
  check_committed(index, view);
  check_digest(index, view);
  check_required(server);
  if (committed_.newest() > newest_before) {
    check_all_in_sync();
  } else {
    check_holds_committed(server);
  }
}

// Rules 8 and 14: within one life and lineage nothing that was committed or shown is taken back.
void Checkers::check_monotonic(int index, const NodeView& view) {
  const NodeView& before = servers_[index].view;
  if (view.lineage < before.lineage) {
    fail(fmt::format("s{} went back from lineage {} to {}", index, before.lineage.value, view.lineage.value));
  }
  if (view.lineage != before.lineage) return;
  if (view.commit < before.commit) {
    fail(fmt::format("s{}'s commit went back from {} to {}", index, before.commit.value, view.commit.value));
  }
  if (view.epoch < before.epoch) {  // rule 4
    fail(fmt::format("s{}'s epoch went back from {} to {}", index, before.epoch.value, view.epoch.value));
  }
}

// Rule 1: an epoch has one leader.
void Checkers::check_one_leader(const NodeView& view) {
  auto inserted = leaders_.emplace(std::pair(view.lineage, view.epoch), view.self);
  if (!inserted.second && !(inserted.first->second == view.self)) {
    fail(fmt::format("two leaders of epoch {}: {} and {}", view.epoch.value, name(inserted.first->second),
                     name(view.self)));
  }
}

// Rules 5, 7, 8: what is committed anywhere is the same everywhere.
void Checkers::check_committed(int index, const NodeView& view) {
  Server& server = servers_[index];
  const Revision first(std::max(server.checked.value, view.log_base.value) + 1);
  for (Revision revision = first; revision <= view.commit; revision = revision.next()) {
    const EntryPointer entry = server.entry_at(revision);
    if (!entry) {
      fail(fmt::format("s{} committed revision {} without having its entry (log ({}, {}])", index,
                       revision.value, view.log_base.value, view.last.revision.value));
      return;
    }
    const bool first_seen = committed_.at(revision) == nullptr;
    if (std::optional<std::string> why = committed_.record(entry)) {
      fail(fmt::format("s{}: {}", index, *why));
      return;
    }
    if (first_seen) check_timely(*entry);
  }
  server.checked = std::max(server.checked, view.commit);
  const bool at_base = view.commit == lineage_base(view.lineage);
  if (!at_base && view.commit.value != 0 && committed_.at(view.commit) == nullptr) {
    fail(fmt::format("s{} believes revision {} to be committed, which nobody has committed", index,
                     view.commit.value));
  }
}

void Checkers::note_appended(Server& server, const NodeView& view) {
  if (!view.leading) {
    server.appended = Revision(0);
    return;
  }
  for (Revision r(std::max(server.appended.value, view.log_base.value) + 1); r <= view.last.revision;
       r = r.next()) {
    const EntryPointer entry = server.entry_at(r);
    const bool first = appended_.try_emplace({entry->epoch, r, entry->clock}, stamp()).second;
    if (first) rights_.on_appended(*entry);
  }
  server.appended = view.last.revision;
}

void Checkers::check_timely(const Entry& entry) {
  const auto at = appended_.find({entry.epoch, entry.revision, entry.clock});
  const std::optional<Instant> appended = at != appended_.end() ? std::optional(at->second) : std::nullopt;
  if (appended) check_clock(entry, *appended);
  const std::string why = terms_.on_entry(entry, appended) + queues_.on_entry(entry, appended) +
                          topics_.on_entry(entry, appended) + rights_.on_entry(entry);
  if (!why.empty()) fail(why);
}

// Between any two committed entries of a lineage the log's clock advances by no more than the true time, whoever led.
void Checkers::check_clock(const Entry& entry, Instant appended) {
  const Duration lead =
      Duration(milliseconds(static_cast<int64_t>(entry.clock))) - appended.time_since_epoch();
  const auto [seen, first] = clocks_.try_emplace(lineage_of(entry.revision), ClockSeen{lead, entry.clock});
  ClockSeen& clock = seen->second;
  if (entry.clock < clock.newest)
    fail(fmt::format("the log's clock went back from {} to {} ms at revision {}", clock.newest, entry.clock,
                     entry.revision.value));
  const Duration rates = appended.time_since_epoch() * context_.options.rate_ppm / 1'000'000;
  if (lead > clock.lead + milliseconds(1) + rates)
    fail(fmt::format("the log's clock is {}us ahead of the true time at revision {}",
                     (lead - clock.lead).count(), entry.revision.value));
  clock.lead = std::min(clock.lead, lead);
  clock.newest = entry.clock;
}

// Complete copies at the same revision are equal.
void Checkers::check_digest(int index, const NodeView& view) {
  if (!view.complete) return;
  auto inserted = digests_.emplace(view.commit.value, view.digest);
  if (!inserted.second && inserted.first->second != view.digest) {
    fail(fmt::format("s{}'s store at revision {} differs from another server's there (digest {:x}, not {:x})",
                     index, view.commit.value, view.digest, inserted.first->second));
  }
}

// Rule 5: the newest leader waits for everybody who may lead next.
void Checkers::check_required(const Server& server) {
  if (!server.alive || !server.seen || !config_ || !server.view.leading) return;
  if (server.view.epoch != config_->epoch || server.view.lineage != config_->lineage) return;
  for (const Member& member : config_->in_sync) {
    if (!contains(server.view.required, member)) {
      fail(fmt::format("leader {} of epoch {} does not wait for {}, which is in the register's in-sync set",
                       name(server.member), config_->epoch.value, name(member)));
    }
  }
}

// Who is in the register's in-sync set has all that anybody has committed, at every moment (rules 5 and 9): whatever
// was acknowledged is part of it, and any of them may lead next.
void Checkers::check_holds_committed(const Server& server) {
  const Revision newest = committed_.newest();
  if (!server.alive || server.excused || !config_ || !contains(config_->in_sync, server.member)) return;
  if (newest <= lineage_base(config_->lineage)) return;
  const NodeView& view = server.view;
  if (!server.seen || view.last.revision < newest) {
    fail(fmt::format("{} is in sync and lacks the committed revision {} (its log ends at {})",
                     name(server.member), newest.value, server.seen ? view.last.revision.value : 0));
    return;
  }
  if (newest <= view.log_base || newest <= view.commit) return;  // compared when it was committed
  const EntryPointer entry = server.entry_at(newest);
  if (entry && !(*entry == *committed_.at(newest))) {
    fail(fmt::format("{} is in sync and has another entry than the committed one at revision {}",
                     name(server.member), newest.value));
  }
}

void Checkers::check_all_in_sync() {
  for (const Server& server : servers_) check_holds_committed(server);
}

void Checkers::on_register(const std::optional<Register>& config) {
  if (gone_back_) {
    // Rule 17: what does not follow from the register as it was is nobody's, whatever comes of it.
    const bool follows = config && config_ && descends(*config, *config_);
    if (!follows) return;
    gone_back_ = false;
  }
  if (!config) {
    if (config_) fail("the register was deleted");
    return;
  }
  if (config_ && *config_ == *config) return;
  if (config_) check_register_step(*config_, *config);
  if (!contains(config->in_sync, config->leader)) {
    fail(fmt::format("the register of epoch {} names a leader that is not in sync: {}", config->epoch.value,
                     name(config->leader)));
  }
  config_ = config;
  for (const Server& server : servers_) check_required(server);
  check_all_in_sync();
}

void Checkers::check_register_step(const Register& before, const Register& now) {
  if (before.cluster != now.cluster) fail("the register changed its cluster id");
  if (now.lineage < before.lineage) fail("the register's lineage went back");
  if (now.lineage > before.lineage) {  // rule 16
    if (context_.options.durable != 0) fail("a lineage was given up, with everything on disk");
    for (const Member& member : before.in_sync) {
      // Two processes with one id break this promise, and only this one.
      if (lives(member) && context_.options.twin_us == 0) {
        fail(fmt::format("lineage {} was opened while {} lived, which was in sync", now.lineage.value,
                         name(member)));
      }
    }
    return;
  }
  if (now.epoch < before.epoch) fail(fmt::format("the register's epoch went back to {}", now.epoch.value));
  if (now.epoch == before.epoch && !(now.leader == before.leader)) {
    fail(fmt::format("the register's leader changed within epoch {}", now.epoch.value));
  }
  const bool restored = now.cause == ElectionCause::kRestored;  // above whatever anybody spoke of
  if (now.epoch > before.epoch && now.epoch != before.epoch.next() && !restored) {
    fail(fmt::format("the register's epoch jumped from {} to {}", before.epoch.value, now.epoch.value));
  }
  if (now.epoch > before.epoch && !contains(before.in_sync, now.leader)) {  // rule 3
    fail(fmt::format("{} took epoch {} without having been in sync", name(now.leader), now.epoch.value));
  }
}

void Checkers::at_end() {
  if (gone_back_) fail("the register was not restored");
  for (const StoreCall& request : certainly_not_) {
    const auto refuse = [&](const std::optional<Bytes>& value) {
      const uint64_t number = value ? value_number(value->view()) : 0;
      if (number == 0) return;
      if (std::optional<Revision> revision = committed_.revision_of(number)) {
        fail(fmt::format("value v{} was refused as certainly not applied, and is revision {}", number,
                         revision->value));
      }
    };
    if (const auto* put = std::get_if<PutKey>(&request.operation)) refuse(put->value);
    if (const auto* batch = std::get_if<WriteBatch>(&request.operation)) {
      for (const BatchOp& op : batch->ops) refuse(op.value);
    }
    if (const auto* transaction = std::get_if<Box<Transaction>>(&request.operation)) {
      for (const auto* branch : {&(*transaction)->then_ops, &(*transaction)->else_ops}) {
        for (const TxnOp& op : *branch) refuse(op.value);
      }
    }
  }
}

}  // namespace kvd::sim
