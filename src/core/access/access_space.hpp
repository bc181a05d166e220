// The space of users, tokens and policies (core/replica/spaces.hpp): what each change of them leads to, and what a copy
// counts. What is missing grants nothing, so nothing here has to be done in a certain order.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/replica/evaluation.hpp"
#include "msg/access.hpp"

namespace kvd {

// All of it by key, as the log's end knows it; without a tail, as is committed.
std::vector<Record> access_records(const Store& store, const Tail* tail = nullptr);

// What restores it: all but tokens whose users have gone. The error says what in the backup cannot be.
Result<ReplaceAccess> replacement_by(const Store& backup);

struct AccessSpace {
  static constexpr Space kSpace = Space::kAccess;
  static Evaluation effects_of(Box<PutPolicy>& put, const WriteView& view);
  static Evaluation effects_of(Box<PutUser>& put, const WriteView& view);
  // Beside it a few tokens go that nobody can use any more, so that they do not gather.
  static Evaluation effects_of(Box<CreateToken>& create, const WriteView& view);
  static Evaluation effects_of(Box<ReplaceAccess>& all, const WriteView& view);
  static Evaluation effects_of(DeleteAccess& remove, const WriteView& view);

  void count(const Record& item, bool add);
  bool free_some() { return false; }

  std::array<size_t, 3> counts{};                                     // by AccessKind
  std::map<std::string, std::string, std::less<>> users_by_identity;  // its user
  uint64_t digest = 0;                                                // the same for the same content
};

}  // namespace kvd
