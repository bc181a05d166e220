// See evaluation.hpp.
#include "core/replica/evaluation.hpp"

#include "core/replica/store.hpp"
#include "core/replica/tail.hpp"
#include "msg/wire.hpp"

namespace kvd {

WriteCall::WriteCall(Operation& what, const std::string& key, const OptionalBox<Fence>& token)
    : operation(what), idempotency_key(key), fence(token) {
  if (!key.empty()) digest = operation_digest(operation, fence);
}

const Record* WriteView::latest(std::string_view key, Space space) const {
  if (const Record* in_tail = tail.find(key, space)) return in_tail->has_value() ? in_tail : nullptr;
  return store.find(key, space);
}

}  // namespace kvd
