// What operators read while the register is in doubt; see restoration.hpp.
#include <fmt/format.h>

#include "core/restoration.hpp"
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
  return fmt::format(
      "{} remembers epoch {} (change {}) and holds revision {}, of which {} is known to be committed, digest "
      "{:016x}",
      one.info.member.id.value, known.epoch.value, known.serial, one.claim->end.revision.value,
      one.claim->commit.value, one.claim->digest);
}

std::string names(const std::vector<Member>& members) {
  std::string all;
  for (const Member& member : members)
    all += fmt::format("{}{} (life {:016x})", all.empty() ? "" : ", ", member.id.value,
                       member.incarnation.value);
  return all;
}

}  // namespace

std::vector<std::string> describe(const RegisterDoubted& doubted, const Ruling& ruling,
                                  const std::vector<Registration>& all, const ServerInfo& self) {
  std::vector<std::string> lines{seen(doubted)};
  for (const Registration& one : all) {
    if (one.remembers) lines.push_back(holds(one));
  }
  if (ruling.kind == Ruling::Kind::kRestore) {
    lines.push_back(ruling.restorer.id.value + " restores the register by itself");
    return lines;
  }
  if (!ruling.why.empty()) lines.push_back("nothing goes on by itself: " + ruling.why);
  if (!ruling.missing.empty())
    lines.push_back("start " + names(ruling.missing) + ", which was in sync and may have acknowledged more");
  const bool written = doubted.fault != RegisterFault::kAbsent;
  if (written && ruling.kind == Ruling::Kind::kDecide) {
    lines.push_back(fmt::format(
        "if what ZooKeeper shows is to be ignored: stop the servers that believe it, then 'zkCli.sh "
        "delete {}'",
        kConfigPath));
  }
  lines.push_back(fmt::format(
      "if this server's copy is to go on, and what others have beyond it is to be given up: 'curl -X POST "
      "http://{}/v1/cluster/lineage' (first 'curl -O -J http://{}/v1/snapshot' at each server)",
      format_address(self.http), format_address(self.http)));
  return lines;
}

}  // namespace kvd
