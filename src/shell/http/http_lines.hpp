// What llhttp lets pass between the lines of a request, and RFC 9112 does not: lines that do not end with CRLF, and
// lines that go on in the next one. A proxy that takes such bytes for something else than this server does sees other
// requests in the same stream (request smuggling). Pure values, any thread.
#pragma once
#include <string_view>

namespace kvd {

class HttpLines {
 public:
  // The next bytes of a head, of a chunk's size line, or of trailers, in pieces of any size.
  void add(std::string_view bytes);
  // Content has come: what follows it begins anew.
  void skip_content() { last_ = '\0'; }

  bool bare_cr() const { return bare_cr_; }
  bool bare_lf() const { return bare_lf_; }
  bool folded() const { return folded_; }  // a line begins with white space

 private:
  char last_ = '\0';
  bool bare_cr_ = false;
  bool bare_lf_ = false;
  bool folded_ = false;
};

}  // namespace kvd
