// What waits to be written to one client socket: text in one growing buffer, large values by reference
// between its parts. One write per turn of the loop; while the kernel is full the rest waits in one write.
// Loop thread only.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "net/stream.hpp"

namespace kvd {

class HttpOutput {
 public:
  HttpOutput() = default;
  HttpOutput(const HttpOutput&) = delete;
  HttpOutput& operator=(const HttpOutput&) = delete;

  std::string& text() { return filling_.text; }  // append only
  void append(const Bytes& value);

  // Writes what the socket takes at once and leaves the rest to the loop. 0, or a uv error code: the socket
  // is dead. Does nothing while an earlier write waits.
  int flush(net::Stream& stream);
  void written();  // the write that waited is over

  bool empty() const { return filling_.empty() && !waiting_; }
  bool waiting() const { return waiting_; }  // the kernel takes no more
  // The memory that is kept for the next answers.
  void give_back();
  // Appended and not yet taken by the kernel; what waits counts whole until its end.
  size_t bytes() const { return filling_.bytes() + (waiting_ ? writing_.bytes() : 0); }

 private:
  struct Part {
    size_t text_end;  // the text up to here comes before the value
    Bytes value;
  };
  struct Batch {
    std::string text;
    std::vector<Part> parts;
    size_t value_bytes = 0;

    bool empty() const { return text.empty() && parts.empty(); }
    size_t bytes() const { return text.size() + value_bytes; }
    void clear();
    void give_back();
    void collect(std::vector<uv_buf_t>& buffers) const;
  };
  static void skip(std::vector<uv_buf_t>& buffers, size_t bytes);

  Batch filling_;
  Batch writing_;  // while waiting_
  bool waiting_ = false;
  std::vector<uv_buf_t> buffers_;
};

}  // namespace kvd
