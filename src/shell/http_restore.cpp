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
constexpr uint64_t kLogEveryMs = 1000;

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
  page_.limit = limits::kListItemsMax;
  page_.keys_only = true;
  stage_ = plan_.replace ? Stage::kListing : Stage::kWriting;
  return std::nullopt;
}

bool HttpRestore::all_sent() const {
  return batch_sent_ && cursor_ == store_.items().end() && fence_ == store_.items(Space::kFences).end();
}

HttpRestore::Request HttpRestore::sent(Operation operation, size_t keys, ReadMode read) {
  const uint32_t number = requests_++;
  under_way_.emplace(number, keys);
  return Request{number, std::move(operation), read};
}

std::optional<HttpRestore::Request> HttpRestore::next_request() {
  if (failed_ || under_way_.size() >= kUnderWay) return std::nullopt;
  if (stage_ == Stage::kDeleting) {
    if (strangers_sent_ < strangers_.size()) return next_deletion();
    if (!under_way_.empty()) return std::nullopt;
    stage_ = more_pages_ ? Stage::kListing : Stage::kWriting;
  }
  if (stage_ == Stage::kListing && under_way_.empty()) return sent(page_, 0, ReadMode::kLinear);
  return stage_ == Stage::kWriting ? next_batch() : std::nullopt;
}

HttpRestore::Request HttpRestore::next_deletion() {
  WriteBatch batch;
  for (; strangers_sent_ < strangers_.size() && batch.ops.size() < limits::kBatchOps; ++strangers_sent_)
    batch.ops.push_back(BatchOp{std::move(strangers_[strangers_sent_]), std::nullopt});
  const size_t keys = batch.ops.size();
  return sent(std::move(batch), keys);
}

// Keys and fences side by side, as long as there are any of either.
std::optional<HttpRestore::Request> HttpRestore::next_batch() {
  if (batch_sent_ && (all_sent() || !changed())) return std::nullopt;
  WriteBatch batch;
  batch.if_empty = !batch_sent_ && !plan_.replace;
  batch_sent_ = true;
  size_t bytes = 0;
  for (; cursor_ != store_.items().end() && batch.ops.size() < limits::kBatchOps; ++cursor_) {
    const size_t more = cursor_->key().size() + cursor_->value().size();
    if (bytes > 0 && bytes + more > kBatchBytes) break;
    bytes += more;
    batch.ops.push_back(BatchOp{std::string(cursor_->key()), cursor_->bytes()});
  }
  const Table& fences = store_.items(Space::kFences);
  for (; fence_ != fences.end() && batch.fences.size() < limits::kBatchOps; ++fence_) {
    const uint64_t token = token_of(&*fence_);
    const bool sound = token != 0 && fence_->key().size() <= limits::kFenceResourceBytes;
    if (sound) batch.fences.push_back(Fence{std::string(fence_->key()), token});
  }
  const size_t keys = batch.ops.size();
  return sent(std::move(batch), keys);
}

void HttpRestore::take_listing(const Listing& listing) {
  strangers_.clear();
  strangers_sent_ = 0;
  for (const Record& item : listing.items) {
    if (store_.find(item.key()) == nullptr) strangers_.emplace_back(item.key());
  }
  more_pages_ = listing.more && !listing.items.empty();
  if (more_pages_) page_.after = listing.items.back().key();
  stage_ = Stage::kDeleting;
}

void HttpRestore::on_reply(uint32_t number, const ClientReply& reply) {
  auto sent = under_way_.extract(number);
  if (sent.empty()) return;
  if (const auto* listing = std::get_if<Listing>(&reply.answer)) {
    take_listing(*listing);
  } else if (std::holds_alternative<BatchWritten>(reply.answer)) {
    (stage_ == Stage::kDeleting ? deleted_ : written_) += sent.mapped();
    revision_ = std::max(revision_, reply.revision);
  } else if (!failed_) {
    failed_ = reply;
  }
}

std::optional<HttpResponse> HttpRestore::answer(const HttpIdentity& identity, const HttpCounters& counters) {
  if (!under_way_.empty() || (!failed_ && !all_sent())) return std::nullopt;
  if (!failed_) {
    JsonWriter json;
    json.begin_object().member("keys", uint64_t{store_.size()});
    if (plan_.replace) json.member("deleted", deleted_);
    json.member("revision", revision_.value).end_object();
    HttpResponse response;
    response.content_type = kJson;
    response.body = json.take() + "\n";
    return response;
  }
  auto* failed = std::get_if<Failed>(&failed_->answer);
  if (failed != nullptr && (changed() || failed->outcome == Outcome::kUnknown)) {
    failed->outcome = Outcome::kUnknown;
    const std::string deleted =
        plan_.replace ? fmt::format("{} keys were certainly deleted and ", deleted_) : std::string();
    failed->detail = fmt::format(
        "{}{} of {} keys were certainly written before this: {}; what is there is the snapshot in part: send "
        "it "
        "again with replace=true, until it is restored",
        deleted, written_, store_.size(), failed->detail);
  }
  return render_reply(plan_, *failed_, identity, counters);
}

LogLine HttpRestore::line(LogLevel level, std::string what) const {
  return LogLine{level,
                 std::move(what),
                 {{"deleted", std::to_string(deleted_)},
                  {"written", std::to_string(written_)},
                  {"of", std::to_string(store_.size())},
                  {"revision", std::to_string(revision_.value)}}};
}

std::optional<LogLine> HttpRestore::progress(uint64_t now_ms) {
  if (!changed()) return std::nullopt;
  if (logged_ms_ == 0) logged_ms_ = now_ms;
  const bool done = under_way_.empty() && all_sent() && !failed_;
  if (!done && now_ms - logged_ms_ < kLogEveryMs) return std::nullopt;
  logged_ms_ = now_ms;
  return line(LogLevel::kInfo, done ? "has restored a snapshot" : "restores a snapshot");
}

std::optional<LogLine> HttpRestore::given_up() const {
  const bool writes = stage_ != Stage::kListing && !under_way_.empty();
  if (!changed() && !writes) return std::nullopt;
  return line(LogLevel::kWarn,
              "the client of a restore has gone in its midst: send the snapshot again, with replace=true");
}

Store HttpRestore::take_store() {
  return stage_ == Stage::kReading ? reader_.take_store() : std::move(store_);
}

}  // namespace kvd
