// See evaluation.hpp.
#include "core/replica/evaluation.hpp"

#include "core/replica/store.hpp"
#include "core/replica/tail.hpp"
#include "msg/wire.hpp"

namespace kvd {

namespace {

// A renewal that is done twice does no harm, but an answer of before would: it tells how much time is left.
const std::string& key_of(const Operation& operation, const std::string& key) {
  static const std::string none;
  return std::holds_alternative<RenewLeases>(operation) ? none : key;
}

}  // namespace

WriteCall::WriteCall(Operation& what, const std::string& key, const OptionalBox<Fence>& token)
    : operation(what), idempotency_key(key_of(what, key)), fence(token) {
  if (!idempotency_key.empty()) digest = operation_digest(operation, fence);
}

const Record* WriteView::latest(std::string_view key, Space space) const {
  if (const Record* in_tail = tail.find(key, space)) return in_tail->has_value() ? in_tail : nullptr;
  return store.find(key, space);
}

}  // namespace kvd
