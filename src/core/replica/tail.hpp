// The tail of a leader's log, which is not committed yet, as the next write sees it: the newest effect on each key of
// each space, and how much it is; of the terms also how many keys a lease has here. A plain object of whoever evaluates
// writes.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

#include "msg/record.hpp"

namespace kvd {

class Index;  // core/replica/table.hpp, for who walks it

class Tail {
 public:
  Tail();
  ~Tail();

  // An entry is appended to the log: first it, then each of its effects.
  void note(const Entry& entry);
  void note(const Record& effect);
  void drop(const Entry& entry);  // the oldest one: it is committed

  // The newest effect, which may be a deletion. Null: there is none. Valid until the tail changes.
  const Record* find(std::string_view key, Space space) const;
  const Index& effects(Space space) const { return *newest_[static_cast<size_t>(space)]; }
  size_t bytes() const { return bytes_; }
  size_t keys() const { return keys_; }   // that its entries name, each of them
  size_t attached(uint64_t lease) const;  // keys whose newest term here is that lease

 private:
  void count(const Record& effect, bool add);

  std::array<std::unique_ptr<Index>, kSpaces> newest_;
  size_t bytes_ = 0;
  size_t keys_ = 0;
  std::map<uint64_t, size_t> attached_;  // by lease
};

}  // namespace kvd
