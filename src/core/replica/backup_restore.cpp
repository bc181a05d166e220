// See backup_restore.hpp.
#include "core/replica/backup_restore.hpp"

#include <algorithm>
#include <utility>

#include "core/replica/fences.hpp"
#include "core/replica/terms.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr size_t kBatchBytes = 1u << 20;  // about; and limits::kBatchOps keys
constexpr size_t kUnderWay = 8;           // batches

bool is_of_topics(const Operation& operation) {
  return std::holds_alternative<ListTopics>(operation) || std::holds_alternative<DeleteTopic>(operation) ||
         std::holds_alternative<Box<MakeTopic>>(operation) ||
         std::holds_alternative<Box<PublishMessages>>(operation) ||
         std::holds_alternative<Box<MakeSubscription>>(operation);
}

// And no refusal.
bool is_of_queues(const Answer& answer) {
  return std::holds_alternative<QueueList>(answer) || std::holds_alternative<QueueDeleted>(answer) ||
         std::holds_alternative<QueueMade>(answer) || std::holds_alternative<MessagesPurged>(answer) ||
         std::holds_alternative<Sent>(answer);
}

// What was to be deleted, and is not there any more, is deleted. None: the answer stands.
std::optional<Answer> deleted_before(const Operation& operation, const Failed& failed) {
  if (failed.code == ErrorCode::kNoTopic && std::holds_alternative<DeleteTopic>(operation))
    return TopicDeleted{};
  if (failed.code == ErrorCode::kNoQueue && std::holds_alternative<DeleteQueue>(operation))
    return QueueDeleted{};
  return std::nullopt;
}

}  // namespace

BackupRestore::BackupRestore(Store store, bool replace, Duration patience, OptionalBox<ReplaceAccess> rights)
    : store_(std::move(store)),
      queues_(store_),
      topics_(store_),
      rights_(std::move(rights)),
      replace_(replace),
      patience_(patience),
      stage_(replace ? Stage::kListing : Stage::kWriting),
      cursor_(store_.items().begin()),
      fence_(store_.items(Space::kFences).begin()) {
  page_.limit = limits::kListItemsMax;
  page_.keys_only = true;
  for (const auto& [lease, keys] : store_.terms().attached) left_out_ += keys.size();
}

bool BackupRestore::is_left_out(std::string_view key) const {
  const std::optional<StoredTerm> term = term_of(store_.find(key, Space::kTerms));
  return term && term->lease != 0;
}

Term BackupRestore::term_of_key(const Record& item) const {
  const std::optional<StoredTerm> term = term_of(store_.find(item.key(), Space::kTerms));
  if (!term) return {};
  const uint64_t left = left_until(term->deadline, store_.clock());
  return {Term::Kind::kTime, std::clamp(left, limits::kTtlMsMin, limits::kTtlMsMax)};
}

bool BackupRestore::all_sent() const {
  return batch_sent_ && cursor_ == store_.items().end() && fence_ == store_.items(Space::kFences).end();
}

bool BackupRestore::may_have_changed() const {
  return revision_ != Revision(0) || unknown_ || (stage_ != Stage::kListing && !under_way_.empty());
}

std::vector<uint32_t> BackupRestore::under_way() const {
  std::vector<uint32_t> numbers;
  for (const auto& [number, sent] : under_way_) {
    if (sent.again == kNever) numbers.push_back(number);
  }
  return numbers;
}

BackupRestore::Request BackupRestore::sent(Operation operation, size_t keys, ReadMode read) {
  Request request{requests_++, std::move(operation), read};
  under_way_.emplace(request.number, Sent{request, keys});
  return request;
}

std::optional<BackupRestore::Request> BackupRestore::once_more(Instant now) {
  const auto due = std::find_if(under_way_.begin(), under_way_.end(),
                                [now](const auto& entry) { return entry.second.again <= now; });
  if (due == under_way_.end()) return std::nullopt;
  due->second.again = kNever;
  return due->second.request;
}

std::optional<BackupRestore::Request> BackupRestore::next(Instant now) {
  if (auto request = once_more(now)) return request;
  if (failed_ || under_way_.size() >= kUnderWay) return std::nullopt;
  if (stage_ == Stage::kDeleting) {
    if (strangers_sent_ < strangers_.size()) return next_deletion();
    if (!under_way_.empty()) return std::nullopt;
    stage_ = more_pages_ ? Stage::kListing : Stage::kClearing;
  }
  if (stage_ == Stage::kListing && under_way_.empty()) return sent(page_, 0, ReadMode::kLinear);
  if (stage_ == Stage::kClearing && queues_.cleared() && topics_.cleared()) stage_ = Stage::kWriting;
  if (stage_ == Stage::kWriting) {
    if (auto request = next_batch()) return request;
    if (goes_on_ && all_sent()) stage_ = Stage::kQueues;
  }
  return next_behind_keys();
}

std::optional<BackupRestore::Request> BackupRestore::next_behind_keys() {
  std::optional<Operation> operation;
  if (stage_ == Stage::kClearing) {
    operation = queues_.next_clearing();
    if (!operation && queues_.cleared()) operation = topics_.next_clearing();
  }
  if (stage_ == Stage::kQueues) {
    operation = queues_.next();
    if (!operation && queues_.ended()) stage_ = Stage::kTopics;
  }
  if (stage_ == Stage::kTopics) {
    operation = topics_.next();
    if (!operation && topics_.ended()) stage_ = Stage::kRights;
  }
  if (stage_ == Stage::kRights && rights_) operation = Box(std::move(*std::exchange(rights_, {})));
  if (!operation) return std::nullopt;
  return sent(std::move(*operation), 0, ReadMode::kLinear);
}

BackupRestore::Request BackupRestore::next_deletion() {
  WriteBatch batch;
  for (; strangers_sent_ < strangers_.size() && batch.ops.size() < limits::kBatchOps; ++strangers_sent_)
    batch.ops.push_back(BatchOp{std::move(strangers_[strangers_sent_]), std::nullopt});
  const size_t keys = batch.ops.size();
  return sent(std::move(batch), keys);
}

// Keys and fences side by side, as long as there are any of either.
std::optional<BackupRestore::Request> BackupRestore::next_batch() {
  if (batch_sent_ && (all_sent() || !goes_on_)) return std::nullopt;
  WriteBatch batch;
  batch.if_empty = !batch_sent_ && !replace_;
  batch_sent_ = true;
  size_t bytes = 0;
  for (; cursor_ != store_.items().end() && batch.ops.size() < limits::kBatchOps; ++cursor_) {
    if (is_left_out(cursor_->key())) continue;
    const size_t more = cursor_->key().size() + cursor_->value().size();
    if (bytes > 0 && bytes + more > kBatchBytes) break;
    bytes += more;
    batch.ops.push_back(BatchOp{std::string(cursor_->key()), cursor_->bytes(), term_of_key(*cursor_)});
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

void BackupRestore::take_listing(const Listing& listing) {
  strangers_.clear();
  strangers_sent_ = 0;
  for (const Record& item : listing.items) {
    if (store_.find(item.key()) == nullptr || is_left_out(item.key())) strangers_.emplace_back(item.key());
  }
  more_pages_ = listing.more && !listing.items.empty();
  if (more_pages_) page_.after = listing.items.back().key();
  stage_ = Stage::kDeleting;
}

// What is refused since too many wait is certainly not done, and a restore is one of those who fill the line.
void BackupRestore::on_reply(uint32_t number, const StoreAnswer& reply, Instant now) {
  const auto it = under_way_.find(number);
  if (it == under_way_.end()) return;
  Sent& sent = it->second;
  const auto* failed = std::get_if<Failed>(&reply.answer);
  if (failed != nullptr && failed->code == ErrorCode::kOverloaded && !failed_) {
    stuck_ = std::min(stuck_, now);
    sent.again = now + kPause;
    if (sent.again - stuck_ <= patience_) return;
  }
  const Operation operation = std::move(sent.request.operation);
  const size_t keys = sent.keys;
  under_way_.erase(it);
  if (failed == nullptr) stuck_ = kNever;
  const std::optional<Answer> instead = failed != nullptr ? deleted_before(operation, *failed) : std::nullopt;
  const Answer& answer = instead ? *instead : reply.answer;
  if (const auto* listing = std::get_if<Listing>(&answer)) {
    take_listing(*listing);
  } else if (std::holds_alternative<BatchWritten>(answer)) {
    (stage_ == Stage::kDeleting ? deleted_ : written_) += keys;
    goes_on_ |= stage_ == Stage::kWriting;
    revision_ = std::max(revision_, reply.revision);
  } else if (std::holds_alternative<KeyWritten>(answer)) {  // the rights
    revision_ = std::max(revision_, reply.revision);
  } else if (is_of_topics(operation) && !std::holds_alternative<Failed>(answer)) {
    topics_.done(answer);
    if (!std::holds_alternative<TopicList>(answer)) revision_ = std::max(revision_, reply.revision);
  } else if (is_of_queues(answer)) {
    queues_.done(operation, answer);
    if (!std::holds_alternative<QueueList>(answer)) revision_ = std::max(revision_, reply.revision);
  } else {
    on_failure(reply);
  }
}

void BackupRestore::on_failure(const StoreAnswer& reply) {
  const auto* failed = std::get_if<Failed>(&reply.answer);
  unknown_ |= failed != nullptr && failed->outcome == Outcome::kUnknown;
  if (failed_) return;
  failed_ = reply;
  std::erase_if(under_way_, [](const auto& entry) { return entry.second.again != kNever; });
}

}  // namespace kvd
