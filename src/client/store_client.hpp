// One request to the store after the other, for a command that has nothing else to do meanwhile: through any of its
// servers, again and again until the time is over, and a write never twice. Loop thread only.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "client/http_client.hpp"
#include "client/say.hpp"
#include "client/store_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

struct StoreRequest {
  std::string method;
  std::string path;      // percent-encoded
  std::string query{};   // likewise, and without `timeout`
  std::string fields{};  // of the header, each with its CRLF
  std::string body{};
  bool keyed = true;  // a write has an Idempotency-Key; without one it may be done twice
  bool once = false;  // it is not sent again where a try may have been done
  // How long a server may wait for what is asked for, beside the time that it takes; 0: not at all. Each try waits for
  // half of its share at most, so an answer may come before that time is over.
  Duration wait{0};
};

// 128 bits, as nobody may draw the same as long as either is remembered.
std::string draw_idempotency_key();
void add_parameter(std::string& query, std::string_view name, std::string_view value);  // which is escaped
void add_read_terms(std::string& query, const ReadTerms& terms);

// The exit codes of the store's commands, with the line that tells why.
using StoreFailure = CommandEnd;

class StoreClient {
 public:
  StoreClient(net::Loop& loop, const StoreAccess& access, uint64_t seed);

  // Runs the loop until a server has answered, for good, or the time is over. The answer is below 400.
  Result<Response, StoreFailure> ask(const StoreRequest& request);

  // The same deletion until the server says that there is no more. How many were deleted, by the answers' member
  // `name`; a failure in between says so, in things of the kind `what`.
  Result<int64_t, StoreFailure> delete_pages(const StoreRequest& request, std::string_view name,
                                             std::string_view what);

  // About an answer that cannot be understood.
  static StoreFailure useless(const StoreRequest& request, const std::string& why);

 private:
  net::Loop& loop_;
  Duration timeout_;
  HttpClient client_;
  Say say_;
};

// Runs one of the commands that have a StoreAccess, by a Run that is made of a StoreClient. The exit code.
template <class Run, class Command>
int run_at_store(net::Loop& loop, const Command& command, uint64_t seed) {
  const StoreAccess& access =
      std::visit([](const auto& one) -> const StoreAccess& { return one.access; }, command);
  StoreClient client(loop, access, seed);
  return std::visit(Run{client}, command);
}

}  // namespace kvd::client
