// See store_client.hpp.
#include "client/store_client.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "base/percent.hpp"
#include "client/answers.hpp"

namespace kvd::client {
namespace {

constexpr Duration kBehindTheLastTry = milliseconds(100);  // it says more than that the time is over

bool is_read(const StoreRequest& request) { return request.method == "GET"; }

// Another try may have a better answer: 408 and 5xx, but for what a server cannot do at all or has no room for.
bool is_for_now(const Response& answer) {
  if (answer.status >= 400 && problem_outcome(answer.body) == "unknown") return true;
  if (answer.status < 500) return answer.status == 408;
  return answer.status != 501 && answer.status != 505 && answer.status != 507;
}

constexpr std::array<std::string_view, 4> kNotThere = {"urn:kvd:no-queue", "urn:kvd:no-topic",
                                                       "urn:kvd:no-message", "urn:kvd:no-such-name"};

// Of a queue, a policy and the like, and not of a path: what was asked for was not there.
bool is_not_there(const Response& answer) {
  if (answer.status != 404) return false;
  const std::string kind = text_in(answer.body, "type");
  return std::find(kNotThere.begin(), kNotThere.end(), kind) != kNotThere.end();
}

// `doubt`: an earlier try may have been done. What is refused by what is stored is remembered with the key, so that it
// is the one answer to all tries; any other refusal is about the last try alone.
StoreFailure refusal(const Response& answer, bool doubt, bool keyed) {
  if (answer.status == 404 && answer.body.empty()) return {1, "there is no such key"};
  const std::string text = problem_text(answer.status, answer.body);
  const bool by_what_is_stored =
      answer.status == 409 || answer.status == 410 || answer.status == 412 || is_not_there(answer);
  if (by_what_is_stored && (keyed || !doubt)) return {1, text};
  if (doubt) return {EX_TEMPFAIL, "the outcome of an earlier try is unknown, and now " + text};
  return {answer.status >= 500 ? EX_UNAVAILABLE : EX_DATAERR, text};
}

StoreFailure time_is_over(bool unknown, const std::string& last_failure) {
  return {unknown ? EX_TEMPFAIL : EX_UNAVAILABLE,
          fmt::format("{}: {}", unknown ? "the outcome is unknown" : "no server answered in time",
                      last_failure.empty() ? "the server is silent" : last_failure)};
}

// The server answers before its share of the time, `left`, is over here.
std::string target_of(const StoreRequest& request, Duration left) {
  const Duration wait = std::clamp(request.wait, Duration(0), left / 2);
  std::string query = request.query;
  if (request.wait > Duration(0)) add_parameter(query, "wait", std::to_string(to_ms(wait)));
  return fmt::format("{}?{}{}timeout={}", request.path, query, query.empty() ? "" : "&",
                     std::max<int64_t>(to_ms(left - wait) * 9 / 10, 1));
}

}  // namespace

std::string draw_idempotency_key() {
  std::random_device device;
  return fmt::format("kvd-{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

void add_parameter(std::string& query, std::string_view name, std::string_view value) {
  if (!query.empty()) query += '&';
  query.append(name).append("=").append(percent_encode(value));
}

void add_read_terms(std::string& query, const ReadTerms& terms) {
  if (terms.linear) add_parameter(query, "read", "linear");
  if (terms.min_revision != 0) add_parameter(query, "min_rev", std::to_string(terms.min_revision));
}

StoreClient::StoreClient(net::Loop& loop, const StoreAccess& access, uint64_t seed)
    : loop_(loop), timeout_(access.timeout), client_(loop.get(), access.servers, seed) {}

Result<Response, StoreFailure> StoreClient::ask(const StoreRequest& request) {
  const bool write = !is_read(request);
  const Duration most = timeout_ + request.wait;
  const uint64_t until = uv_hrtime() + static_cast<uint64_t>(most.count()) * 1000;
  std::optional<Result<Response, StoreFailure>> end;
  std::unique_ptr<HttpCall> call;
  std::string last_failure;
  const auto finish = [&](Result<Response, StoreFailure> with) {
    if (!end) end = std::move(with);
    loop_.stop();
  };
  const auto give_up = [&] {
    finish(Failure<StoreFailure>(time_is_over(write && call->may_be_done(), last_failure)));
  };
  const auto is_over = [&] { return request.once && call->may_be_done(); };

  HttpRequest http;
  http.method = request.method;
  http.target = [&] { return target_of(request, call->time_left()); };
  http.fields = request.fields;
  if (write && request.keyed) http.fields += "Idempotency-Key: " + draw_idempotency_key() + "\r\n";
  http.body = request.body;
  http.silence = most;
  http.until = until;
  HttpEvents events;
  events.on_failed = [&](const std::string& why) {
    const bool in_time = uv_hrtime() < until;
    const bool more = in_time && !is_over();
    if (in_time || last_failure.empty()) last_failure = why;  // one that had no time says nothing
    if (!more) give_up();
    if (more && call->tried_all()) say_.once(why + "; trying on");
    return more;
  };
  events.on_answer = [&](const Response& answer) {
    if (field_of(answer, "Kvd-Complete") == "false") say_.once("this server's copy may lack keys");
    if (is_for_now(answer)) {
      last_failure = problem_text(answer.status, answer.body);
      return uv_hrtime() < until && !is_over() ? call->try_again() : give_up();
    }
    if (answer.status < 400) return finish(answer);
    finish(Failure<StoreFailure>(refusal(answer, write && call->may_be_done(), request.keyed)));
  };
  call = std::make_unique<HttpCall>(client_, std::move(http), std::move(events));
  net::Timer deadline(loop_.get(), give_up);
  deadline.start(most + kBehindTheLastTry);
  while (!end) loop_.run();
  return std::move(*end);
}

Result<int64_t, StoreFailure> StoreClient::delete_pages(const StoreRequest& request, std::string_view name,
                                                        std::string_view what) {
  int64_t deleted = 0;
  const auto cut_off = [&](StoreFailure why) {
    if (deleted != 0) why.text += fmt::format(" ({} {} were deleted before that)", deleted, what);
    return Failure<StoreFailure>(std::move(why));
  };
  for (bool more = true; more;) {
    const auto answer = ask(request);
    if (!answer) return cut_off(answer.error());
    const auto count = parse_number_in(answer->body, name);
    const auto goes_on = parse_flag_in(answer->body, "more");
    if (!count) return cut_off(useless(request, count.error().detail));
    if (!goes_on) return cut_off(useless(request, goes_on.error().detail));
    deleted += *count;
    more = *goes_on;
  }
  return deleted;
}

StoreFailure StoreClient::useless(const StoreRequest& request, const std::string& why) {
  return {is_read(request) ? EX_UNAVAILABLE : EX_TEMPFAIL, why};
}

}  // namespace kvd::client
