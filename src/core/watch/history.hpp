// The newest committed changes of the data keys, for who watches them: the only buffer that watches have. Entries are
// shared with the log and the store. A plain object, owned by the watch actor.
#pragma once
#include <deque>

#include "msg/record.hpp"

namespace kvd {

class History {
 public:
  // `bytes_max`: of entries, as the log counts them; at least the newest one is kept.
  explicit History(size_t bytes_max) : bytes_max_(bytes_max) {}

  // What came before `base` is not known, or not worth anything any more.
  void reset(Revision base);
  // The next committed entry. Those without a change of a data key only move newest().
  void add(const EntryPointer& entry);

  // Everything behind it is here.
  Revision oldest() const { return oldest_; }
  Revision newest() const { return newest_; }

  // The entries that change a data key, oldest first.
  size_t size() const { return entries_.size(); }
  const Entry& at(size_t index) const { return *entries_[index]; }
  size_t first_behind(Revision revision) const;  // size(): none
  size_t bytes() const { return bytes_; }

 private:
  void drop_first();

  size_t bytes_max_;
  std::deque<EntryPointer> entries_;
  size_t bytes_ = 0;
  Revision oldest_;
  Revision newest_;
};

}  // namespace kvd
