// Writes whose outcome depends on what is there: numbers that are added to, bytes that are appended, and transactions
// over several keys. What is replicated is the value that results, so that no copy has to do it again (rule 8). Pure;
// they are operations of the data space.
#pragma once
#include "core/replica/evaluation.hpp"

namespace kvd {

Evaluation sum_of(const AddNumber& add, const WriteView& view);
Evaluation appended(const AppendBytes& append, const WriteView& view);
// Its conditions see what is there before it, its operations also what those before them did. One that cannot be done
// refuses the whole, and is named.
Evaluation done_or_refused(Transaction& transaction, const WriteView& view);

}  // namespace kvd
