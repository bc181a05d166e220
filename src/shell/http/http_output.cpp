// See http_output.hpp.
#include "shell/http/http_output.hpp"

#include <utility>

namespace kvd {
namespace {

constexpr size_t kCopiedBytes = 4096;     // copying less is cheaper than one more buffer in the system call
constexpr size_t kKeptBytes = 64u << 10;  // a buffer that grew beyond is given back

uv_buf_t buffer_of(std::string_view text) {
  return uv_buf_init(const_cast<char*>(text.data()), static_cast<unsigned int>(text.size()));
}

}  // namespace

void HttpOutput::append(const Bytes& value) {
  if (value.size() <= kCopiedBytes) {
    filling_.text += value.view();
    return;
  }
  filling_.value_bytes += value.size();
  filling_.parts.push_back({filling_.text.size(), value});
}

void HttpOutput::Batch::clear() {
  text.clear();
  parts.clear();
  value_bytes = 0;
  if (text.capacity() > kKeptBytes) give_back();
}

// Assigning an empty string to one leaves that one's memory where it is.
void HttpOutput::Batch::give_back() {
  std::string().swap(text);
  std::vector<Part>().swap(parts);
}

void HttpOutput::give_back() {
  if (!empty()) return;
  filling_.give_back();
  writing_.give_back();
}

void HttpOutput::Batch::collect(std::vector<uv_buf_t>& buffers) const {
  buffers.clear();
  std::string_view all = text;
  size_t start = 0;
  for (const Part& part : parts) {
    if (part.text_end > start) buffers.push_back(buffer_of(all.substr(start, part.text_end - start)));
    buffers.push_back(buffer_of(part.value.view()));
    start = part.text_end;
  }
  if (all.size() > start) buffers.push_back(buffer_of(all.substr(start)));
}

void HttpOutput::skip(std::vector<uv_buf_t>& buffers, size_t bytes) {
  size_t done = 0;
  while (done < buffers.size() && bytes >= buffers[done].len) bytes -= buffers[done++].len;
  buffers.erase(buffers.begin(), buffers.begin() + static_cast<ptrdiff_t>(done));
  if (bytes == 0) return;
  buffers.front().base += bytes;
  buffers.front().len -= bytes;
}

int HttpOutput::flush(net::Stream& stream) {
  if (waiting_ || filling_.empty()) return 0;
  filling_.collect(buffers_);
  const int written = stream.try_write(buffers_);
  if (written < 0) return written;
  const auto taken = static_cast<size_t>(written);
  if (taken == filling_.bytes()) {
    filling_.clear();
    return 0;
  }
  // The buffers are collected anew: a short text lives inside its string object, which the swap moves.
  std::swap(writing_, filling_);
  filling_.clear();
  writing_.collect(buffers_);
  skip(buffers_, taken);
  const int code = stream.write(buffers_);
  waiting_ = code == 0;
  return code;
}

void HttpOutput::written() {
  waiting_ = false;
  writing_.clear();
}

}  // namespace kvd
