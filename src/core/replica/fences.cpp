// See fences.hpp. A token always takes 8 bytes, so that a larger one never makes the store grow.
#include "core/replica/fences.hpp"

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

}  // namespace kvd
