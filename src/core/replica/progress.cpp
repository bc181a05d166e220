// See progress.hpp.
#include "core/replica/progress.hpp"

#include <utility>

namespace kvd {
namespace {

constexpr Duration kLogEvery = seconds(1);

}  // namespace

Progress::Progress(Outbox& out, std::string what, std::string unit)
    : out_(out), what_(std::move(what)), unit_(std::move(unit)) {}

void Progress::begin(uint64_t total) {
  running_ = true;
  done_ = 0;
  total_ = total;
  began_ = logged_ = out_.now;
}

void Progress::reach(uint64_t done) {
  done_ = done;
  if (!running_ || out_.now - logged_ < kLogEvery) return;
  logged_ = out_.now;
  out_.log(LogLevel::kInfo, what_,
           {{"done", std::to_string(done_)},
            {"total", std::to_string(total_)},
            {"unit", unit_},
            {"per_second", std::to_string(rate())}});
}

uint64_t Progress::rate() const {
  auto passed = static_cast<uint64_t>(to_ms(out_.now - began_));
  return passed == 0 ? 0 : done_ * 1000 / passed;
}

std::optional<WorkStatus> Progress::status() const {
  if (!running_) return std::nullopt;
  return WorkStatus{what_, unit_, done_, total_, rate()};
}

}  // namespace kvd
