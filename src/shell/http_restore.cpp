// See http_restore.hpp.
#include "shell/http_restore.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/json_writer.hpp"
#include "core/fences.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr size_t kBatchBytes = 1u << 20;  // about; and limits::kBatchOps keys
constexpr size_t kUnderWay = 8;           // batches

}  // namespace

std::optional<HttpResponse> HttpRestore::refuse(const std::string& wrong) {
  if (wrong.empty()) return std::nullopt;
  Problem problem;
  problem.status = reader_.too_large() ? 413 : 400;
  problem.kind = reader_.too_large() ? "too-large" : "bad-snapshot";
  problem.detail = "the snapshot " + wrong;
  problem.outcome = Outcome::kNotApplied;
  return problem_response(problem);
}

std::optional<HttpResponse> HttpRestore::take(std::string_view body) {
  std::optional<HttpResponse> response = refuse(reader_.feed(body));
  if (response) response->close = true;  // the rest of the body is not read
  return response;
}

std::optional<HttpResponse> HttpRestore::verify() {
  if (auto response = refuse(reader_.finish())) return response;
  store_ = reader_.take_store();
  cursor_ = store_.items().begin();
  fence_ = store_.items(Space::kFences).begin();
  verified_ = true;
  return std::nullopt;
}

bool HttpRestore::all_sent() const {
  return sent_ > 0 && cursor_ == store_.items().end() && fence_ == store_.items(Space::kFences).end();
}

// Keys and fences side by side, as long as there are any of either.
std::optional<HttpRestore::Batch> HttpRestore::next_batch() {
  const bool first = sent_ == 0;
  if (!verified_ || failed_ || under_way_.size() >= kUnderWay) return std::nullopt;
  if (!first && (all_sent() || revision_ == Revision(0))) return std::nullopt;
  Batch batch;
  batch.number = sent_++;
  batch.content.if_empty = first;
  size_t bytes = 0;
  for (; cursor_ != store_.items().end() && batch.content.ops.size() < limits::kBatchOps; ++cursor_) {
    const size_t more = cursor_->key().size() + cursor_->value().size();
    if (bytes > 0 && bytes + more > kBatchBytes) break;
    bytes += more;
    batch.content.ops.push_back(BatchOp{std::string(cursor_->key()), cursor_->bytes()});
  }
  const Table& fences = store_.items(Space::kFences);
  for (; fence_ != fences.end() && batch.content.fences.size() < limits::kBatchOps; ++fence_) {
    const uint64_t token = token_of(&*fence_);
    const bool sound = token != 0 && fence_->key().size() <= limits::kFenceResourceBytes;
    if (sound) batch.content.fences.push_back(Fence{std::string(fence_->key()), token});
  }
  under_way_.emplace(batch.number, batch.content.ops.size());
  return batch;
}

void HttpRestore::on_reply(uint32_t number, const ClientReply& reply) {
  auto sent = under_way_.extract(number);
  if (sent.empty()) return;
  if (std::holds_alternative<BatchWritten>(reply.answer)) {
    written_ += sent.mapped();
    revision_ = std::max(revision_, reply.revision);
  } else if (!failed_) {
    failed_ = reply;
  }
}

std::optional<HttpResponse> HttpRestore::answer(const HttpIdentity& identity, const HttpCounters& counters) {
  const uint64_t keys = store_.size();
  if (!under_way_.empty() || (!failed_ && !all_sent())) return std::nullopt;
  if (!failed_) {
    JsonWriter json;
    json.begin_object().member("keys", keys).member("revision", revision_.value).end_object();
    HttpResponse response;
    response.content_type = kJson;
    response.body = json.take() + "\n";
    return response;
  }
  if (auto* failed = std::get_if<Failed>(&failed_->answer)) {
    const bool partly = revision_ != Revision(0) || failed->outcome == Outcome::kUnknown;
    if (partly) {
      failed->outcome = Outcome::kUnknown;
      failed->detail = fmt::format(
          "{} of {} keys were certainly written before this: {}; delete the keys that are there now, then "
          "restore anew",
          written_, keys, failed->detail);
    }
  }
  return render_reply(plan_, *failed_, identity, counters);
}

Store HttpRestore::take_store() { return verified_ ? std::move(store_) : reader_.take_store(); }

}  // namespace kvd
