// What llhttp lets pass between the lines of a request, and RFC 9112 does not: lines that do not end with CRLF, and
// lines that go on in the next one. A proxy that takes such bytes for something else than this server does sees other
// requests in the same stream (request smuggling). Pure values, any thread.
#pragma once
#include <cstdint>
#include <string_view>

namespace kvd {

class HttpLines {
 public:
  // The next bytes of a head, of a chunk's size line, or of trailers, in pieces of any size.
  void add(std::string_view bytes);
  // Content has come: what follows it begins anew.
  void skip_content() { last_ = '\0'; }

  bool bare_cr() const {
    return crs_ - (last_ == '\r' ? 1 : 0) != pairs_;
  }  // the last byte may become half of a pair
  bool bare_lf() const { return lfs_ != pairs_; }
  bool folded() const { return folds_ != 0; }  // a line begins with white space

 private:
  void count(char before, std::string_view bytes);

  char last_ = '\0';
  uint64_t crs_ = 0;
  uint64_t lfs_ = 0;
  uint64_t pairs_ = 0;  // CRLF
  uint64_t folds_ = 0;
};

}  // namespace kvd
