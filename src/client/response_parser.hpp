// HTTP/1.1 answers out of a stream of bytes, by llhttp. One per connection, started anew with each. Nothing is
// allocated for an answer once the buffers have grown; what is not asked for (fields, bodies of successes) is skipped.
// Not for answers that end with their connection: nobody could tell them from ones that were cut off.
#pragma once
#include <llhttp.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvd::client {

struct Response {
  int status = 0;
  bool keep_alive = true;
  std::string body;                                         // of failures; of all when asked for
  std::vector<std::pair<std::string, std::string>> fields;  // when asked for
};

enum class Keep : uint8_t {
  kFailures,  // bodies of 4xx and 5xx
  kAll,       // every body, and the fields
};

class ResponseParser {
 public:
  using OnResponse = bool (*)(void* owner, const Response& response);  // false: stop here

  ResponseParser(void* owner, OnResponse on_response, Keep keep);
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  void restart();
  bool feed(const char* bytes, size_t size);  // false: this is no HTTP, or the owner said stop
  // The answer whose head has come and whose end has not; null: there is none. What is taken out of its body is not in
  // the whole answer any more.
  Response* under_way() { return under_way_ ? &response_ : nullptr; }

 private:
  friend struct ResponseCallbacks;

  llhttp_t parser_;
  Response response_;
  void* owner_;
  OnResponse on_response_;
  Keep keep_;
  bool keeps_body_ = false;
  bool under_way_ = false;
};

// Of an answer that was parsed with its fields: the content of one, whatever the case of its name; empty: there is
// none.
std::string_view field_of(const Response& answer, std::string_view name);

// A member of a problem+json body whose value is a plain string; empty: there is none.
std::string_view problem_member(std::string_view body, std::string_view name);

}  // namespace kvd::client
