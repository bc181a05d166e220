// See fences.hpp. A token always takes 8 bytes, so that a larger one never makes the store grow.
#include "core/replica/fences.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <variant>

#include "core/mutation.hpp"
#include "core/replica/store.hpp"
#include "core/replica/tail.hpp"
#include "msg/codec.hpp"

namespace kvd {

Record remember_token(std::string_view resource, uint64_t token, Revision revision) {
  std::string bytes;
  Encoder(bytes).put(token);
  return Record(resource, bytes, {revision, revision, 1, Space::kFences});
}

uint64_t token_of(const Record* fence) {
  if (fence == nullptr) return 0;
  Decoder decoder(fence->value());
  uint64_t token = 0;
  decoder.get(token);
  decoder.finish();
  return decoder.failed() || token > limits::kFenceTokenMax ? 0 : token;
}

uint64_t FencesSpace::latest_token(std::string_view resource, const WriteView& view) {
  const bool tail_counts = !mutated(Mutation::kFenceOfCommitted);
  return token_of(tail_counts ? view.latest(resource, kSpace) : view.store.find(resource, kSpace));
}

Evaluation FencesSpace::effects_of(DropFence& drop, const WriteView& view) {
  if (view.latest(drop.resource, kSpace) == nullptr) return Change{{}, KeyAbsent{}};
  return Change{{Record::deletion(drop.resource, {view.next, view.next, 0, kSpace})}, KeyDeleted{}};
}

// Several of a restore only.
void FencesSpace::add_effects(const WriteCall& call, const WriteView& view, Change& change) {
  std::map<std::string_view, uint64_t> tokens;
  const auto bring = [&](const Fence& fence) {
    uint64_t& token = tokens[fence.resource];
    token = std::max(token, fence.token);
  };
  if (call.fence) bring(*call.fence);
  if (const auto* batch = std::get_if<WriteBatch>(&call.operation))
    std::for_each(batch->fences.begin(), batch->fences.end(), bring);
  for (const auto& [resource, token] : tokens) {
    if (token > latest_token(resource, view))
      change.effects.push_back(remember_token(resource, token, view.next));
  }
}

}  // namespace kvd
