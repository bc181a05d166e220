// See znode_log.hpp.
#include "core/zookeeper/znode_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "journal/journal_format.hpp"
#include "msg/codec.hpp"

namespace kvd {
namespace {

constexpr char kName[] = "znodes";
constexpr uint32_t kFormat = 1;
constexpr uint64_t kPartBytes = 1u << 20;
constexpr uint64_t kGrowth = 64u << 20;  // of a file, and as much again as it had, before it is begun anew
constexpr size_t kHeadBytes = 4 + 8;     // of the first frame's payload
constexpr int kEpochShift = 32;          // as in ZooKeeper: a zxid is an epoch and a counter

struct Kept {
  std::string path;
  std::optional<ZkZnode> node;
};

// ZooKeeper's numbers are signed, the codec's are not.
template <class T>
void put_signed(Encoder& encoder, T number) {
  encoder.put(static_cast<std::make_unsigned_t<T>>(number));
}
template <class T>
void get_signed(Decoder& decoder, T& number) {
  std::make_unsigned_t<T> bits = 0;
  decoder.get(bits);
  number = static_cast<T>(bits);
}

void put_znode(Encoder& encoder, const std::string& path, const ZkZnode* node) {
  encoder.put(path);
  encoder.put(node != nullptr);
  if (node == nullptr) return;
  encoder.put(node->data);
  put_signed(encoder, node->version);
  put_signed(encoder, node->created_zxid);
  put_signed(encoder, node->modified_zxid);
  put_signed(encoder, node->created_ms);
  put_signed(encoder, node->modified_ms);
  put_signed(encoder, node->children_zxid);
  put_signed(encoder, node->next_sequence);
}

Kept get_znode(Decoder& decoder) {
  Kept kept;
  bool there = false;
  decoder.get(kept.path);
  decoder.get(there);
  if (!there) return kept;
  ZkZnode& node = kept.node.emplace();
  decoder.get(node.data);
  get_signed(decoder, node.version);
  get_signed(decoder, node.created_zxid);
  get_signed(decoder, node.modified_zxid);
  get_signed(decoder, node.created_ms);
  get_signed(decoder, node.modified_ms);
  get_signed(decoder, node.children_zxid);
  get_signed(decoder, node.next_sequence);
  return kept;
}

void apply_transactions(std::string_view payload, ZnodeLog::Found& content, std::string& wrong) {
  Decoder decoder(payload);
  while (!decoder.failed() && !decoder.at_end()) {
    get_signed(decoder, content.zxid);
    uint32_t count = 0;
    decoder.get(count);
    for (uint32_t i = 0; i < count && !decoder.failed(); ++i) {
      Kept kept = get_znode(decoder);
      if (decoder.failed()) break;
      if (kept.node) {
        content.tree[kept.path] = std::move(*kept.node);
      } else {
        content.tree.erase(kept.path);
      }
    }
  }
  if (decoder.failed()) wrong = decoder.take_error();
}

std::string frame_of(std::string_view payload, uint64_t sequence) {
  std::string frame;
  const size_t start = begin_frame(frame);
  frame += payload;
  finish_frame(frame, start, {FrameKind::kZnodes, sequence, sequence == 0 ? 0 : sequence - 1, 0},
               frame_seed(kName));
  return frame;
}

// Ephemerals are gone, so how many children there are is counted anew. False: a parent is missing.
bool count_children(ZkTree& tree) {
  for (auto& [path, node] : tree) {
    if (path == "/") continue;
    const size_t slash = path.rfind('/');
    const auto parent =
        slash == std::string::npos ? tree.end() : tree.find(slash == 0 ? "/" : path.substr(0, slash));
    if (parent == tree.end()) return false;
    ++parent->second.children_count;
  }
  return tree.contains("/");
}

}  // namespace

void encode_newest_change(const ZkEnsemble& ensemble, std::string& out) {
  std::vector<std::pair<const std::string*, const ZkZnode*>> kept;
  for (const auto& [path, before] : ensemble.newest_change()) {
    const auto now = ensemble.tree().find(path);
    if (now != ensemble.tree().end() && now->second.ephemeral_owner == 0) {
      kept.emplace_back(&path, &now->second);
    } else if (before && before->ephemeral_owner == 0) {
      kept.emplace_back(&path, nullptr);
    }
  }
  if (kept.empty()) return;
  Encoder encoder(out);
  put_signed(encoder, ensemble.zxid());
  encoder.put(static_cast<uint32_t>(kept.size()));
  for (const auto& [path, node] : kept) put_znode(encoder, *path, node);
}

Result<ZnodeLog::Found> ZnodeLog::open() {
  Result<Found> found = load();
  if (!found) return found;
  // What a life told of ephemerals, and of what failed, is not in the file; but never so much as an epoch.
  zxid_ = found->zxid = ((found->zxid >> kEpochShift) + 1) << kEpochShift;
  FileResult error = begin_anew(*found);
  begun_ = !error;
  if (error && error->no_space) error = files_.remove(temporary_name(kName));
  if (error) return failure(error->what);
  return found;
}

Result<ZnodeLog::Found> ZnodeLog::load() {
  Found content;
  std::vector<Files::Info> files;
  if (FileResult error = files_.list(files)) return failure(error->what);
  const auto file =
      std::find_if(files.begin(), files.end(), [](const auto& one) { return one.name == kName; });
  if (file == files.end()) {
    content.tree["/"].children_count = 1;
    content.tree["/zookeeper"] = {};
    return content;
  }
  const auto damaged = [](std::string_view why) {
    return failure(fmt::format("{}: damaged: {}", kName, why));
  };
  FrameFile frames(files_, kName, file->size, frame_seed(kName), kPartBytes);
  uint64_t sequence = 0;
  uint64_t parts = 0;
  for (;; ++sequence) {
    std::optional<Frame> frame;
    if (FileResult error = frames.next(frame)) return failure(error->what);
    if (!frame) break;
    if (frame->head.kind != FrameKind::kZnodes || frame->head.sequence != sequence)
      return damaged(fmt::format("frame {} is not the one that belongs there", sequence));
    std::string wrong;
    if (sequence == 0) {
      uint32_t format = 0;
      Decoder decoder(frame->payload);
      decoder.get(format);
      decoder.get(parts);
      decoder.finish();
      if (format > kFormat) return failure(fmt::format("{}: a later version of kvd wrote it", kName));
      if (decoder.failed()) wrong = decoder.take_error();
    } else {
      apply_transactions(frame->payload, content, wrong);
    }
    if (!wrong.empty()) return damaged(wrong);
  }
  if (sequence <= parts) return damaged("it ends within what it began with");
  std::optional<uint64_t> later;
  if (FileResult error =
          find_loss(files_, kName, file->size, frames.offset(), kPartBytes, {sequence, 0}, later))
    return failure(error->what);
  if (later) return damaged(fmt::format("at byte {}, with more at {}", frames.offset(), *later));
  if (!count_children(content.tree)) return damaged("a znode has no parent");
  return content;
}

FileResult ZnodeLog::begin_anew(const Found& content) {
  const std::string temporary = temporary_name(kName);
  if (FileResult error = files_.remove(temporary)) return error;
  if (FileResult error = files_.create(temporary, 0)) return error;
  uint64_t sequence = 1;
  uint64_t size = kFrameHead + kHeadBytes;  // the head comes last, when it is known how many parts there are
  for (auto at = content.tree.begin(); at != content.tree.end();) {
    std::string znodes;
    Encoder encoder(znodes);
    uint32_t number = 0;
    for (; at != content.tree.end() && znodes.size() < kPartBytes; ++at, ++number)
      put_znode(encoder, at->first, &at->second);
    std::string part;
    Encoder head(part);
    put_signed(head, content.zxid);
    head.put(number);
    const std::string frame = frame_of(part + znodes, sequence++);
    if (FileResult error = files_.write(temporary, size, frame)) return error;
    size += frame.size();
  }
  std::string head;
  Encoder encoder(head);
  encoder.put(kFormat);
  encoder.put(sequence - 1);
  if (FileResult error = files_.write(temporary, 0, frame_of(head, 0))) return error;
  if (FileResult error = files_.sync(temporary)) return error;
  if (FileResult error = files_.rename(temporary, kName)) return error;
  sequence_ = sequence;
  size_ = size;
  begin_anew_at_ = 2 * size_ + kGrowth;
  return {};
}

FileResult ZnodeLog::append(std::string_view transactions) {
  if (!begun_) {  // there was no space for it at the start
    Result<Found> content = load();
    if (!content) return FileError{false, content.error().detail};
    content->zxid = zxid_;
    if (FileResult error = begin_anew(*content)) return error;
    begun_ = true;
  }
  if (transactions.empty()) return {};
  const std::string frame = frame_of(transactions, sequence_++);
  if (FileResult error = files_.write(kName, size_, frame)) return error;
  if (FileResult error = files_.sync(kName)) return error;
  size_ += frame.size();
  if (size_ < begin_anew_at_) return {};
  const Result<Found> content = load();
  if (!content) return FileError{false, content.error().detail};
  FileResult error = begin_anew(*content);
  if (!error || !error->no_space) return error;
  begin_anew_at_ = size_ + kGrowth;  // the file goes on as it is
  return files_.remove(temporary_name(kName));
}

}  // namespace kvd
