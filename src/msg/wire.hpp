// The peer wire format: how PeerMessages travel on TCP. All integers little-endian.
//
//   frame   = length u32 (of what follows: 1 to limits::kFrameBytes) | type u8 | fields
//   string  = length u32 | bytes            optional = 0 u8, or 1 u8 | value            list = count u32 |
//   items
//
// The first frame on a link is Hello; its fields begin with the magic "kvda", so that a stray connection (a
// scanner, a browser, another protocol) is recognised by its first bytes. Unknown types, trailing bytes and
// lengths beyond the frame are errors: the link is closed. Nothing is allocated on the word of a length that
// the frame cannot hold.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "msg/peer.hpp"

namespace kvd {

// Appends one whole frame to `out`.
void encode_frame(const PeerMessage& message, std::string& out);

// Cuts frames out of a stream of bytes that arrives in pieces of any size. One per link direction.
class FrameReader {
 public:
  // Adds what arrived. Cheap; copies `bytes`.
  void feed(std::string_view bytes);
  // The next whole message; nothing yet: an empty optional; an Error (what is wrong, for one log line) once
  // and for all: the stream is then useless.
  Result<std::optional<PeerMessage>> next();

 private:
  std::string buffer_;
  size_t start_ = 0;  // what is before it has been consumed
  bool greeted_ = false;
};

// An answer as it is remembered with its idempotency key: never a Status.
std::string encode_answer(const Answer& answer);
Result<Answer> decode_answer(std::string_view bytes);
// Equal operations with equal fences have equal digests; a retry with another body, or a newer token, is noticed by it.
uint64_t operation_digest(const Operation& operation, const OptionalBox<Fence>& fence = {});

// Decodes the body of one frame (type and fields, without the length).
Result<PeerMessage> decode_body(std::string_view body);

}  // namespace kvd
