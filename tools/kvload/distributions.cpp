// See distributions.hpp.
#include "kvload/distributions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/command_line.hpp"

namespace kvd::load {
namespace {

constexpr size_t kSizeMax = 16u << 20;

double zeta(uint64_t count, double theta) {
  double sum = 0;
  for (uint64_t i = 1; i <= count; ++i) sum += 1 / std::pow(static_cast<double>(i), theta);
  return sum;
}

double fraction(Prng& random) { return static_cast<double>(random.next() >> 11) * 0x1p-53; }

// Takes a number off the front of `text`.
bool take_number(std::string_view& text, size_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number <= kSizeMax;
}

// ... with a unit, where there is one.
bool take_size(std::string_view& text, size_t& bytes) {
  const size_t end = std::min(text.find_first_of("-:,"), text.size());
  const std::optional<int64_t> size = parse_size(text.substr(0, end));
  if (!size || *size < 0 || *size > static_cast<int64_t>(kSizeMax)) return false;
  bytes = static_cast<size_t>(*size);
  text.remove_prefix(end);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

KeyChooser::KeyChooser(KeyOrder order, uint64_t keys, double theta, uint64_t seed)
    : order_(order), keys_(keys), random_(seed), theta_(theta) {
  if (order != KeyOrder::kZipfian) return;
  zeta_ = zeta(keys, theta);
  alpha_ = 1 / (1 - theta);
  const double n = static_cast<double>(keys);
  eta_ = (1 - std::pow(2 / n, 1 - theta)) / (1 - zeta(std::min<uint64_t>(keys, 2), theta) / zeta_);
  spread_ = static_cast<uint64_t>(n * 0.6180339887498949) | 1;
  while (std::gcd(spread_, keys) != 1) ++spread_;
}

uint64_t KeyChooser::zipfian_rank() {
  if (keys_ <= 2) return keys_ == 1 || fraction(random_) * zeta_ < 1 ? 0 : 1;
  const double u = fraction(random_);
  if (u * zeta_ < 1) return 0;
  if (u * zeta_ < 1 + std::pow(0.5, theta_)) return 1;
  const double rank = static_cast<double>(keys_) * std::pow(eta_ * u - eta_ + 1, alpha_);
  return std::min(static_cast<uint64_t>(rank), keys_ - 1);
}

uint64_t KeyChooser::next() {
  switch (order_) {
    case KeyOrder::kUniform:
      return random_.below(keys_);
    case KeyOrder::kZipfian:
      return zipfian_rank() * spread_ % keys_;
    case KeyOrder::kSequential:
      return sequence_++ % keys_;
  }
  return 0;
}

Result<SizeChooser> SizeChooser::parse(std::string_view text) {
  const std::string remedy = "give bytes as 100, 10-64K or 100:90,1M:10 (size:weight), at most 16M";
  SizeChooser chooser;
  chooser.parts_.clear();
  chooser.weights_ = 0;
  do {
    Part part;
    if (!take_size(text, part.low)) return failure(remedy);
    part.high = part.low;
    if (take(text, '-') && !take_size(text, part.high)) return failure(remedy);
    if (take(text, ':') && !take_number(text, part.weight)) return failure(remedy);
    if (part.high < part.low || part.weight == 0) return failure(remedy);
    chooser.weights_ += part.weight;
    chooser.parts_.push_back(part);
  } while (take(text, ','));
  if (!text.empty()) return failure(remedy);
  return chooser;
}

size_t SizeChooser::next(Prng& random) const {
  const Part* chosen = &parts_.front();
  if (parts_.size() > 1) {
    uint64_t place = random.below(weights_);
    while (place >= chosen->weight) place -= (chosen++)->weight;
  }
  if (chosen->low == chosen->high) return chosen->low;
  return chosen->low + random.below(chosen->high - chosen->low + 1);
}

size_t SizeChooser::max() const {
  size_t largest = 0;
  for (const Part& part : parts_) largest = std::max(largest, part.high);
  return largest;
}

double SizeChooser::mean() const {
  double sum = 0;
  for (const Part& part : parts_)
    sum += static_cast<double>(part.weight) * static_cast<double>(part.low + part.high) / 2;
  return sum / static_cast<double>(weights_);
}

}  // namespace kvd::load
