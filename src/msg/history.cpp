// See history.hpp.
#include "msg/history.hpp"

#include <algorithm>

namespace kvd {

bool descends(const Register& later, const Register& earlier) {
  if (later.cluster != earlier.cluster) return false;
  if (later.epoch == earlier.epoch && later.epoch_id == earlier.epoch_id)
    return later.serial >= earlier.serial;
  if (later.epoch <= earlier.epoch) return false;
  const bool remembered = std::any_of(later.history.begin(), later.history.end(), [&](const PastEpoch& past) {
    return past.epoch == earlier.epoch && past.id == earlier.epoch_id && past.serial >= earlier.serial;
  });
  // A lineage may have begun without what is remembered elsewhere: there only what is named was given up.
  const bool forgotten = later.lineage == earlier.lineage && later.history.size() == kHistoryMax &&
                         earlier.epoch < later.history.front().epoch;
  return remembered || forgotten;
}

PastEpoch past_of(const Register& content) {
  return PastEpoch{content.epoch, content.epoch_id, content.serial};
}

void remember(Register& content, const PastEpoch& past) {
  std::vector<PastEpoch>& history = content.history;
  auto later = std::upper_bound(history.begin(), history.end(), past,
                                [](const PastEpoch& a, const PastEpoch& b) { return a.epoch < b.epoch; });
  history.insert(later, past);
  if (history.size() > kHistoryMax) history.erase(history.begin());
}

Register next_change(const Register& replaced) {
  Register content = replaced;
  ++content.serial;
  return content;
}

Register next_epoch(const Register& replaced, uint64_t epoch_id, Epoch above) {
  Register content = next_change(replaced);
  content.epoch = std::max(replaced.epoch, above).next();
  content.epoch_id = epoch_id;
  remember(content, past_of(replaced));
  return content;
}

}  // namespace kvd
