// See http_lines.hpp.
#include "shell/http_lines.hpp"

namespace kvd {
namespace {

constexpr size_t kBlock =
    255;  // so that a count of one block fits into a byte: the compiler makes vectors of it

}  // namespace

void HttpLines::count(char before, std::string_view bytes) {
  const char first = bytes.front();
  uint8_t crs = first == '\r', lfs = first == '\n', pairs = first == '\n' && before == '\r',
          folds = (first == ' ' || first == '\t') && before == '\n';
  for (size_t i = 1; i < bytes.size(); ++i) {
    const char c = bytes[i], previous = bytes[i - 1];
    crs = static_cast<uint8_t>(crs + (c == '\r'));
    lfs = static_cast<uint8_t>(lfs + (c == '\n'));
    pairs = static_cast<uint8_t>(pairs + ((c == '\n') & (previous == '\r')));
    folds = static_cast<uint8_t>(folds + (((c == ' ') | (c == '\t')) & (previous == '\n')));
  }
  crs_ += crs;
  lfs_ += lfs;
  pairs_ += pairs;
  folds_ += folds;
}

void HttpLines::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view block = bytes.substr(0, kBlock);
    count(last_, block);
    last_ = block.back();
    bytes.remove_prefix(block.size());
  }
}

}  // namespace kvd
