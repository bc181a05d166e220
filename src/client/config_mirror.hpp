// What a watch stream of a prefix with its state tells, put together: the configuration below the prefix, and what the
// nodes say of themselves, both as of one revision. A value that is fed with lines. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/answers.hpp"
#include "client/config_set.hpp"

namespace kvd::client {

class ConfigMirror {
 public:
  explicit ConfigMirror(std::string prefix) : prefix_(std::move(prefix)) {}

  void begin();  // another stream, which tells the state first
  // A change counts when all of its revision has come. A key that does not begin with the prefix is passed over.
  void apply(const WatchedLine& line);

  // Whether the rest is so: not while the state is being told.
  bool is_whole() const { return whole_; }
  // The server does not hear the leader: there may be newer revisions.
  bool is_stale() const { return stale_; }
  uint64_t revision() const { return revision_; }  // of the store
  // The newest one up to which the leader has said that there was nothing newer, if this stream has told any.
  std::optional<uint64_t> confirmed() const { return confirmed_; }
  const ConfigSet& set() const { return set_; }
  uint64_t changes() const { return changes_; }                                   // of the set, so far
  const std::map<std::string, std::string>& records() const { return records_; }  // by node

 private:
  void forget();
  void change(const WatchedLine& line);

  std::string prefix_;
  ConfigSet set_;
  std::map<std::string, std::string> records_;
  std::vector<WatchedLine> held_;  // of a revision whose last line has not come
  bool whole_ = false;
  bool stale_ = false;
  uint64_t revision_ = 0;
  std::optional<uint64_t> confirmed_;
  uint64_t changes_ = 0;
};

}  // namespace kvd::client
