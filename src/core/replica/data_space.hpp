// The clients' keys: what each operation on them does, where its condition holds. A change without an effect leaves
// them as they are.
#pragma once
#include <cstdint>

#include "core/replica/evaluation.hpp"

namespace kvd {

struct DataSpace {
  static constexpr Space kSpace = Space::kData;
  static Evaluation effects_of(PutKey& put, const WriteView& view);
  static Evaluation effects_of(DeleteKey& remove, const WriteView& view);
  static Evaluation effects_of(DeletePrefix& remove, const WriteView& view);
  static Evaluation effects_of(WriteBatch& batch, const WriteView& view);
  static Evaluation effects_of(AddNumber& add, const WriteView& view);
  static Evaluation effects_of(AppendBytes& append, const WriteView& view);
  static Evaluation effects_of(Box<Transaction>& transaction, const WriteView& view);

  void count(const Record& item, bool add) {
    value_bytes += add ? item.value().size() : -item.value().size();
  }
  bool free_some() { return false; }

  uint64_t value_bytes = 0;
};

}  // namespace kvd
