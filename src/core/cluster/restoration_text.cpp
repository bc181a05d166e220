// What operators read while the register is in doubt; see restoration.hpp.
#include <fmt/format.h>

#include <algorithm>

#include "core/cluster/restoration.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

std::string seen(const RegisterDoubted& doubted) {
  const Register& known = doubted.remembered;
  return fmt::format(
      "ZooKeeper's {} shows {} where this server remembers epoch {} of lineage {} of the cluster {}",
      kConfigPath, register_fault_name(doubted.fault), known.epoch.value, known.lineage.value, known.cluster);
}

std::string holds(const Registration& one) {
  const Register& known = *one.remembers;
  if (!one.claim) return fmt::format("{} remembers epoch {}", one.info.member.id.value, known.epoch.value);
  const Claim& claim = *one.claim;
  return fmt::format(
      "{} remembers epoch {} (change {}) and holds revision {} of epoch {}, of which {} is known to be "
      "committed, "
      "digest {:016x}{}",
      one.info.member.id.value, known.epoch.value, known.serial, claim.end.revision.value,
      claim.end.epoch.value, claim.commit.value, claim.digest,
      claim.differs ? "; this copy contradicts another one" : "");
}

// One line for each of the in-sync set that is not there.
void add_missing(std::vector<std::string>& lines, const std::vector<Member>& members,
                 const std::vector<Registration>& all) {
  for (const Member& member : members) {
    auto later = std::find_if(all.begin(), all.end(),
                              [&](const Registration& one) { return one.info.member.id == member.id; });
    if (later == all.end()) {
      lines.push_back(fmt::format("start {} (life {:016x}): it was in sync and may have acknowledged more",
                                  member.id.value, member.incarnation.value));
    } else {
      lines.push_back(
          fmt::format("{} was started anew: what its life {:016x} had, which was in sync and may have "
                      "acknowledged more, is gone{}",
                      member.id.value, member.incarnation.value,
                      later->info.durable ? ", unless its former data directory is given back to it" : ""));
    }
  }
}

// For the server that holds the most; of equals for this one.
std::string command(const std::vector<Registration>& all, const ServerInfo& self) {
  const Registration* best = nullptr;
  for (const Registration& one : all) {
    if (!one.claim) continue;
    const bool more = best == nullptr || one.claim->end > best->claim->end;
    if (more || (one.info.member == self.member && one.claim->end == best->claim->end)) best = &one;
  }
  const ServerInfo& chosen = best == nullptr ? self : best->info;
  return fmt::format(
      "if the copy of {}, which holds the most of those that are here, is to go on, and what others have "
      "beyond it is to "
      "be given up: 'curl -X POST http://{}/v1/cluster/lineage' (first save what the others hold: stop each, "
      "and 'kvd "
      "export' its directory; without one 'curl -O -J' its /v1/snapshot)",
      chosen.member.id.value, format_address(chosen.http));
}

}  // namespace

std::vector<std::string> describe_silence(const Register& content, bool deserted,
                                          const std::vector<Registration>& all, const ServerInfo& self) {
  std::vector<std::string> lines{
      fmt::format("the leader of epoch {}, {}, is not heard", content.epoch.value, content.leader.id.value)};
  std::string there;
  for (const Registration& one : all) {
    const bool in_sync = std::count(content.in_sync.begin(), content.in_sync.end(), one.info.member) > 0;
    if (in_sync) there += (there.empty() ? "" : ", ") + one.info.member.id.value;
  }
  if (!deserted) {
    if (!there.empty())
      lines.push_back(
          fmt::format("in sync and registered in ZooKeeper: {}; one of them leads as soon as it may", there));
    return lines;
  }
  for (const Registration& one : all) {
    if (one.remembers) lines.push_back(holds(one));
  }
  lines.push_back("nothing goes on by itself: nobody is here who was in sync");
  add_missing(lines, content.in_sync, all);
  lines.push_back(command(all, self));
  return lines;
}

std::vector<std::string> describe(const RegisterDoubted& doubted, const Ruling& ruling,
                                  const std::vector<Registration>& all, const ServerInfo& self,
                                  const std::string& prefix) {
  std::vector<std::string> lines{seen(doubted)};
  for (const Registration& one : all) {
    if (one.remembers) lines.push_back(holds(one));
  }
  if (ruling.kind == Ruling::Kind::kRestore) {
    lines.push_back(ruling.restorer.id.value + " restores the register by itself");
    return lines;
  }
  if (!ruling.why.empty()) lines.push_back("nothing goes on by itself: " + ruling.why);
  add_missing(lines, ruling.missing, all);
  const bool written = doubted.fault != RegisterFault::kAbsent;
  if (written && ruling.kind == Ruling::Kind::kDecide) {
    lines.push_back(fmt::format(
        "if what ZooKeeper shows is to be ignored: stop the servers that believe it, then 'zkCli.sh "
        "delete {}{}'; if this server's copy is to go: take its snapshot, stop it, and start it with an "
        "empty directory",
        prefix, kConfigPath));
  }
  // Before everybody has told it would only be refused.
  if (ruling.told) lines.push_back(command(all, self));
  return lines;
}

std::string describe_mixture(const std::vector<Registration>& all) {
  std::string without;
  size_t count = 0;
  for (const Registration& one : all) {
    if (one.info.durable) continue;
    ++count;
    without += (without.empty() ? "" : ", ") + one.info.member.id.value;
  }
  if (count == 0 || count == all.size()) return "";
  return "servers with and without --data-dir are mixed: what is acknowledged by " + without +
         " alone is gone when it ends; a server that has a disk leads as soon as it is in sync";
}

}  // namespace kvd
