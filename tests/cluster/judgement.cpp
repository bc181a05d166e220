// See judgement.hpp: the end of a test with faults.
#include "cluster/judgement.hpp"

#include <doctest.h>
#include <fmt/format.h>

namespace kvd::testing {

void wait_for_writes(Cluster& cluster, Clients& clients, size_t more) {
  const size_t goal = clients.history().counts().acknowledged + more;
  cluster.wait_until(fmt::format("{} more writes are acknowledged", more),
                     [&] { return clients.history().counts().acknowledged >= goal; });
}

void judge(Cluster& cluster, Clients& clients) {
  cluster.wait_all_in_sync();
  clients.stop();
  const HttpHistory::Counts counts = clients.history().counts();
  say(fmt::format(
      "Clients: {} writes acknowledged, {} conditions failed, {} certainly not done, {} unknown; {} linear "
      "and {} local reads. The longest time without an acknowledgement was {} ms.",
      counts.acknowledged, counts.done - counts.acknowledged, counts.certainly_not, counts.unknown,
      counts.linear_reads, counts.local_reads, to_ms(counts.gap)));
  std::string failures;
  for (const auto& [name, count] : counts.failures)
    failures += fmt::format("{}{} times '{}'", failures.empty() ? "" : ", ", count, name);
  say(fmt::format("Failures: {}.", failures.empty() ? "none" : failures));
  REQUIRE(counts.acknowledged > 0);
  REQUIRE(counts.done > counts.acknowledged);
  REQUIRE(counts.linear_reads > 0);
  REQUIRE(counts.local_reads > 0);
  cluster.wait_all_equal();
  const std::string unanswered = clients.read_back(5 * kDeadline);
  if (!unanswered.empty()) FAIL("not read back: " << unanswered);
  const std::string violation = clients.history().violation();
  if (!violation.empty()) FAIL(violation);
  say(fmt::format("All copies are equal, and the history of {} keys is linearizable.",
                  clients.history().keys().size()));
}

}  // namespace kvd::testing
