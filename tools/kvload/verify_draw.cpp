// See verify_draw.hpp.
#include "kvload/verify_draw.hpp"

#include <fmt/format.h>

namespace kvd::load {
namespace {

using testing::HttpOperation;

Transaction transfer(Prng& random, const std::string& from, const std::string& to) {
  const auto amount = static_cast<int64_t>(1 + random.below(20));
  Transaction transaction;
  transaction.conditions.push_back(
      {from, TxnCondition::Of::kValue, TxnCondition::Is::kGreater, 0, Bytes(std::to_string(amount - 1))});
  transaction.then_ops = {{TxnOp::Kind::kAdd, from, {}, -amount}, {TxnOp::Kind::kAdd, to, {}, amount}};
  transaction.else_ops = {{TxnOp::Kind::kGet, from, {}, 0}};
  return transaction;
}

}  // namespace

HttpOperation draw_transfer(Prng& random, const VerifyOptions& options, const std::string& prefix,
                            uint64_t number) {
  const auto account = [&] { return fmt::format("{}{}", prefix, random.below(options.keys)); };
  HttpOperation operation;
  operation.key = account();
  const uint64_t kind = random.below(100);
  if (kind < 60) {
    operation.kind = HttpOperation::kTxn;
    operation.transaction = transfer(random, operation.key, account());
  } else if (kind < 75) {
    operation.kind = HttpOperation::kAdd;
    operation.by = static_cast<int64_t>(1 + random.below(50));
  } else if (kind < 85) {
    operation.linear = true;
    return operation;
  } else {
    operation.kind = HttpOperation::kTxn;
    for (size_t i = 0; i < options.keys; ++i)
      operation.transaction.then_ops.push_back({TxnOp::Kind::kGet, fmt::format("{}{}", prefix, i), {}, 0});
    return operation;
  }
  if (random.one_in(2)) operation.idempotency_key = fmt::format("{}once-{}", prefix, number);
  return operation;
}

}  // namespace kvd::load
