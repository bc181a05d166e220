// See backup_restore.hpp.
#include "core/backup_restore.hpp"

#include <algorithm>
#include <utility>

#include "core/fences.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr size_t kBatchBytes = 1u << 20;  // about; and limits::kBatchOps keys
constexpr size_t kUnderWay = 8;           // batches

}  // namespace

BackupRestore::BackupRestore(Store store, bool replace)
    : store_(std::move(store)),
      replace_(replace),
      stage_(replace ? Stage::kListing : Stage::kWriting),
      cursor_(store_.items().begin()),
      fence_(store_.items(Space::kFences).begin()) {
  page_.limit = limits::kListItemsMax;
  page_.keys_only = true;
}

bool BackupRestore::all_sent() const {
  return batch_sent_ && cursor_ == store_.items().end() && fence_ == store_.items(Space::kFences).end();
}

bool BackupRestore::may_have_changed() const {
  const bool unknown = failed_ && std::holds_alternative<Failed>(failed_->answer) &&
                       std::get<Failed>(failed_->answer).outcome == Outcome::kUnknown;
  return revision_ != Revision(0) || unknown || (stage_ != Stage::kListing && !under_way_.empty());
}

BackupRestore::Request BackupRestore::sent(Operation operation, size_t keys, ReadMode read) {
  const uint32_t number = requests_++;
  under_way_.emplace(number, keys);
  return Request{number, std::move(operation), read};
}

std::optional<BackupRestore::Request> BackupRestore::next() {
  if (failed_ || under_way_.size() >= kUnderWay) return std::nullopt;
  if (stage_ == Stage::kDeleting) {
    if (strangers_sent_ < strangers_.size()) return next_deletion();
    if (!under_way_.empty()) return std::nullopt;
    stage_ = more_pages_ ? Stage::kListing : Stage::kWriting;
  }
  if (stage_ == Stage::kListing && under_way_.empty()) return sent(page_, 0, ReadMode::kLinear);
  return stage_ == Stage::kWriting ? next_batch() : std::nullopt;
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
  if (batch_sent_ && (all_sent() || revision_ == Revision(0))) return std::nullopt;
  WriteBatch batch;
  batch.if_empty = !batch_sent_ && !replace_;
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

void BackupRestore::take_listing(const Listing& listing) {
  strangers_.clear();
  strangers_sent_ = 0;
  for (const Record& item : listing.items) {
    if (store_.find(item.key()) == nullptr) strangers_.emplace_back(item.key());
  }
  more_pages_ = listing.more && !listing.items.empty();
  if (more_pages_) page_.after = listing.items.back().key();
  stage_ = Stage::kDeleting;
}

void BackupRestore::on_reply(uint32_t number, const ClientReply& reply) {
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

}  // namespace kvd
