// Transactions as HTTP has them: the JSON that asks for one, and what the JSON of its answer says, strictly. For who
// records what real servers answer. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "msg/client.hpp"

namespace kvd::testing {

std::string transaction_json(const Transaction& transaction);

struct HttpTxnDone {
  TxnDone done;
  uint64_t revision = 0;
};
// Nothing: that is no answer to this transaction.
std::optional<HttpTxnDone> read_txn_answer(const Transaction& transaction, std::string_view body);

}  // namespace kvd::testing
