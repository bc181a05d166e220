// See losses.hpp.
#include "core/services/losses.hpp"

namespace kvd {

// Beyond the bound those of the oldest session are forgotten.
void Losses::add(HolderId holder, const std::string& what, std::string why) {
  lost_.insert_or_assign({holder, what}, std::move(why));
  if (lost_.size() > limits::kClientSessions) lost_.erase(lost_.begin());
}

std::optional<std::string> Losses::take(HolderId holder, const std::string& what) {
  const auto it = lost_.find({holder, what});
  if (it == lost_.end()) return std::nullopt;
  std::string why = std::move(it->second);
  lost_.erase(it);
  return why;
}

void Losses::forget(HolderId holder) {
  auto it = lost_.lower_bound({holder, ""});
  while (it != lost_.end() && it->first.first == holder) it = lost_.erase(it);
}

}  // namespace kvd
