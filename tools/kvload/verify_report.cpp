// See verify.hpp: the half that tells the verdict.
#include <fmt/format.h>
#include <sysexits.h>

#include "base/json_writer.hpp"
#include "kvload/verify.hpp"

namespace kvd::load {

int Verdict::exit_code() const {
  if (!violation.empty()) return 1;
  return unreachable.empty() ? EX_OK : EX_UNAVAILABLE;
}

std::string verdict_text(const Verdict& verdict) {
  std::string out = fmt::format(
      "{} writes acknowledged, {} without effect, {} not applied, {} unknown; {} linear and {} local reads; "
      "{} keys, "
      "{:.1f} s, seed {}\nlongest time without an acknowledged write: {:.1f} ms\n",
      verdict.acknowledged, verdict.unchanged, verdict.not_applied, verdict.unknown, verdict.linear_reads,
      verdict.local_reads, verdict.keys, verdict.seconds, verdict.seed, verdict.gap_ms);
  for (const auto& [what, count] : verdict.failures)
    fmt::format_to(std::back_inserter(out), "failed {:>10}  {}\n", count, what);
  if (!verdict.violation.empty()) {
    out += "VIOLATION: " + verdict.violation + "\n";
  } else if (!verdict.unreachable.empty()) {
    out += "not judged: " + verdict.unreachable + "\n";
  } else {
    out += verdict.together ? "strictly serializable, nothing acknowledged lost\n"
                            : "linearizable, own writes read, nothing acknowledged lost\n";
  }
  return out;
}

std::string verdict_json(const Verdict& verdict) {
  JsonWriter json;
  json.begin_object().member("command", "verify").member("ok", verdict.exit_code() == EX_OK);
  json.member("violation", verdict.violation).member("unreachable", verdict.unreachable);
  json.member("seed", verdict.seed).member("seconds", verdict.seconds);
  json.member("acknowledged", verdict.acknowledged).member("unchanged", verdict.unchanged);
  json.member("not_applied", verdict.not_applied).member("unknown", verdict.unknown);
  json.member("linear_reads", verdict.linear_reads).member("local_reads", verdict.local_reads);
  json.member("keys", verdict.keys).member("gap_ms", verdict.gap_ms).key("failures").begin_object();
  for (const auto& [what, count] : verdict.failures) json.member(what, count);
  return json.end_object().end_object().take() + "\n";
}

}  // namespace kvd::load
