// libFuzzer over the peer wire format: whatever decodes must encode to a frame that decodes to a message with
// that very frame, byte by byte, and a stream gives the same messages and the same end in pieces of any size.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "msg/text.hpp"
#include "msg/wire.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Every message of the stream as text, and "error" at the end when there was one.
std::vector<std::string> read_all(std::string_view stream, size_t piece) {
  kvd::FrameReader reader;
  std::vector<std::string> seen;
  for (size_t at = 0; at < stream.size(); at += piece) {
    reader.feed(stream.substr(at, piece));
    for (;;) {
      auto next = reader.next();
      if (!next) {
        seen.push_back("error");
        return seen;
      }
      if (!*next) break;
      seen.push_back(kvd::to_text(**next));
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (auto message = kvd::decode_body(bytes)) {
    std::string frame;
    kvd::encode_frame(*message, frame);
    auto again = kvd::decode_body(std::string_view(frame).substr(4));
    require(again.has_value());
    std::string same;
    kvd::encode_frame(*again, same);
    require(same == frame);
    require(kvd::to_text(*again) == kvd::to_text(*message));
  }
  if (size == 0) return 0;
  require(read_all(bytes, 1 + data[0] % 16) == read_all(bytes, size));
  // The same as a stream that has begun well: past its first bytes the reader is another program.
  std::string greeted;
  kvd::Hello hello;
  hello.from.member = kvd::Member{kvd::ServerId{"a"}, kvd::Incarnation(1)};
  hello.from.http = hello.from.peer = kvd::Address{"a", 1};
  hello.to = kvd::ServerId{"b"};
  kvd::encode_frame(hello, greeted);
  greeted += bytes;
  require(read_all(greeted, 1 + data[0] % 16) == read_all(greeted, greeted.size()));
  return 0;
}
