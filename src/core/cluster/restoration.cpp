// See restoration.hpp.
#include "core/cluster/restoration.hpp"

#include <algorithm>
#include <tuple>

#include "core/mutation.hpp"
#include "msg/history.hpp"

namespace kvd {
namespace {

bool newer(const Register& a, const Register& b) {
  return std::tie(a.lineage, a.epoch, a.serial) > std::tie(b.lineage, b.epoch, b.serial);
}

const Registration* find(const std::vector<Registration>& all, const Member& member) {
  for (const Registration& one : all) {
    if (one.info.member == member) return &one;
  }
  return nullptr;
}

bool all_registered(const std::vector<Registration>& all, const std::vector<Member>& members) {
  return std::all_of(members.begin(), members.end(),
                     [&](const Member& member) { return find(all, member) != nullptr; });
}

// Of each one this very life is registered, or a later one: so nobody of them is to come whom nobody asked.
bool all_accounted_for(const std::vector<Registration>& all, const std::vector<Member>& members) {
  return std::all_of(members.begin(), members.end(), [&](const Member& member) {
    return std::any_of(all.begin(), all.end(),
                       [&](const Registration& one) { return one.info.member.id == member.id; });
  });
}

// Who must be there: the in-sync set, and whoever a leader had ordered to be in it.
std::vector<Member> required(const Register& newest, const std::vector<Registration>& all) {
  std::vector<Member> members = newest.in_sync;
  for (const Registration& one : all) {
    if (!one.claim || !one.claim->proposed) continue;
    const Register& proposed = *one.claim->proposed;
    if (descends(newest, proposed) || newest.epoch > proposed.epoch) continue;
    if (mutated(Mutation::kGrowthForgotten)) continue;
    members.insert(members.end(), proposed.in_sync.begin(), proposed.in_sync.end());
  }
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  return members;
}

// Whether what was found may be replaced although somebody wrote it after `newest`, or of something else.
std::string objection_to_found(const RegisterDoubted& doubted, const Register& newest,
                               const std::vector<Registration>& all) {
  if (doubted.fault == RegisterFault::kAbsent) return "";
  if (!doubted.found) return "nobody can read what is in ZooKeeper's /kvd/config";
  const Register& found = *doubted.found;
  if (found.cluster != newest.cluster)
    return "ZooKeeper's /kvd/config is another cluster's, " + found.cluster;
  // An epoch that nobody acts in although all who could are here was never more than a word. Nor is anything left of it
  // when those are gone who could, each with all that it knew: it is from before a loss, longer ago than is remembered.
  const bool lost = !found.disks && found.lineage < newest.lineage && all_accounted_for(all, found.in_sync);
  const bool is_void = (lost || all_registered(all, found.in_sync)) && !found.in_sync.empty();
  if (!descends(newest, found)) return is_void ? "" : "ZooKeeper's /kvd/config is of another history";
  // A new lineage may be an operator's word, said elsewhere. Who was in sync before has to know of it.
  if (found.lineage != newest.lineage && !all_accounted_for(all, found.in_sync))
    return "ZooKeeper's /kvd/config is of another lineage";
  return "";
}

// Whoever has the longest log: of equals the first by id.
const Registration* longest(const std::vector<Registration>& all, const std::vector<Member>& in_sync) {
  const Registration* best = nullptr;
  for (const Member& member : in_sync) {
    const Registration* one = find(all, member);
    if (one == nullptr || !one->claim || one->claim->differs) continue;
    if (best == nullptr || one->claim->end > best->claim->end) best = one;
  }
  return best;
}

}  // namespace

Ruling judge(const RegisterDoubted& doubted, const std::vector<Registration>& all) {
  Ruling ruling;
  ruling.newest = doubted.remembered;
  ruling.above = std::max(doubted.remembered.epoch, doubted.found ? doubted.found->epoch : Epoch(0));
  for (const Registration& one : all) {
    if (!one.remembers || one.remembers->cluster != doubted.remembered.cluster) continue;
    ruling.above = std::max(ruling.above, one.remembers->epoch);
    if (one.claim) ruling.above = std::max(ruling.above, one.claim->knows);
    if (newer(*one.remembers, ruling.newest)) ruling.newest = *one.remembers;
  }
  ruling.serial = ruling.newest.serial;
  for (const Registration& one : all) {
    const bool changes =
        one.claim && one.claim->proposed && one.claim->proposed->epoch_id == ruling.newest.epoch_id;
    if (changes) ruling.serial = std::max(ruling.serial, one.claim->proposed->serial);
  }
  const std::vector<Member> members = required(ruling.newest, all);
  for (const Member& member : members) {
    if (find(all, member) == nullptr) ruling.missing.push_back(member);
  }
  std::string silent;
  std::string forked;
  for (const Registration& one : all) {
    const std::string& id = one.info.member.id.value;
    const bool counts = one.remembers || std::count(members.begin(), members.end(), one.info.member) > 0;
    if (counts && (!one.remembers || !one.claim || one.claim->found != doubted.version)) silent = id;
    const bool ours = one.remembers && one.remembers->cluster == doubted.remembered.cluster;
    if (ours && !descends(ruling.newest, *one.remembers)) forked = id;
  }
  ruling.told = silent.empty();
  if (!forked.empty()) {
    ruling.kind = Ruling::Kind::kDecide;
    ruling.why = forked + " remembers another history than epoch " +
                 std::to_string(ruling.newest.epoch.value) + " of " + ruling.newest.leader.id.value;
    return ruling;
  }
  ruling.why = objection_to_found(doubted, ruling.newest, all);
  if (!ruling.why.empty()) {
    ruling.kind = Ruling::Kind::kDecide;
    return ruling;
  }
  if (!ruling.told) {
    ruling.why = silent + " has not told yet what it holds, or believes ZooKeeper: if that lasts, stop it";
    return ruling;
  }
  if (!ruling.missing.empty() && !mutated(Mutation::kMissingIgnored)) {
    ruling.why = "not everybody is here who was in sync";
    return ruling;
  }
  const Registration* best = longest(all, ruling.newest.in_sync);
  if (best == nullptr) {
    ruling.kind = Ruling::Kind::kDecide;
    ruling.why = "no copy of those that were in sync is sound";
    return ruling;
  }
  ruling.kind = Ruling::Kind::kRestore;
  ruling.restorer = best->info.member;
  return ruling;
}

}  // namespace kvd
