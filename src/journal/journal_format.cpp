// See journal_format.hpp.
#include "journal/journal_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/hash.hpp"
#include "msg/codec.hpp"

namespace kvd {

auto fields(Of<DiskFacts> auto& m) { return std::tie(m.cluster, m.lineage, m.epoch, m.self); }
auto fields(Of<DiskTruncate> auto& m) { return std::tie(m.last); }
auto fields(Of<DiskCommit> auto& m) { return std::tie(m.revision); }
auto fields_of_format_1(Of<JournalRoot> auto& m) {
  return std::tie(m.facts, m.generation, m.begun, m.snapshot, m.closed, m.safe, m.opening, m.sync, m.boot,
                  m.lost);
}
// Snapshots and backups say less of the facts.
auto fields(Of<JournalRoot> auto& m) {
  return std::tuple_cat(fields_of_format_1(m),
                        std::tie(m.facts.standalone, m.facts.differs, m.facts.remembers, m.facts.proposed));
}
auto fields_of_format_1(Of<SnapshotHead> auto& m) { return std::tie(m.format, m.facts, m.base); }
auto fields(Of<SnapshotHead> auto& m) { return std::tuple_cat(fields_of_format_1(m), std::tie(m.clock)); }
auto fields(Of<SnapshotFoot> auto& m) {
  return std::tie(m.parts, m.items, m.revision, m.digest, m.segment, m.sequence, m.through, m.checksums);
}

template <>
constexpr uint8_t kLast<JournalOptions::Sync> = static_cast<uint8_t>(JournalOptions::Sync::kOff);
template <>
constexpr size_t kSmallest<DiskRecord> = 1 + 8;

namespace {

constexpr std::string_view kFactsMagic = "kvdfacts";
constexpr size_t kFactsHead = 8 + 4 + 4 + 8;
constexpr std::string_view kFrameMagic = "kvF2";
constexpr std::string_view kFrameMagicOfFormat1 = "kvF1";
constexpr std::string_view kAnyFrameMagic = "kvF";  // what all begin with
constexpr size_t kChecksumAt = 4;
constexpr size_t kLengthAt = 12;
constexpr std::string_view kTemporary = ".tmp";
constexpr std::string_view kDamaged = ".damaged";
constexpr size_t kDigits = 16;

template <class T>
T number_at(std::string_view bytes, size_t at) {
  T number = 0;
  Decoder(bytes.substr(at, sizeof(T))).get(number);
  return number;
}

// None: no frame begins so.
std::optional<CodecFormat> format_of(std::string_view head) {
  if (head.starts_with(kFrameMagic)) return CodecFormat::kSecond;
  if (head.starts_with(kFrameMagicOfFormat1)) return CodecFormat::kFirst;
  return std::nullopt;
}

template <class T>
Result<T> decode_whole(std::string_view bytes, CodecFormat format = kNewestCodecFormat) {
  Decoder decoder(bytes, format);
  T content;
  decoder.get(content);
  decoder.finish();
  if (decoder.failed()) return failure(decoder.take_error());
  return content;
}

std::optional<uint64_t> hexadecimal(std::string_view digits) {
  uint64_t number = 0;
  auto lower = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (digits.size() != kDigits || !std::all_of(digits.begin(), digits.end(), lower)) return std::nullopt;
  std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  return number;
}

// "log-0000000000000001-0000000000000002" behind its prefix.
bool parse_numbers(std::string_view rest, JournalName& name) {
  if (rest.size() != 2 * kDigits + 1 || rest[kDigits] != '-') return false;
  auto generation = hexadecimal(rest.substr(0, kDigits));
  auto number = hexadecimal(rest.substr(kDigits + 1));
  if (!generation || !number) return false;
  name.generation = *generation;
  name.number = *number;
  return true;
}

}  // namespace

std::string segment_name(uint64_t generation, uint64_t number) {
  return fmt::format("log-{:016x}-{:016x}", generation, number);
}

std::string snapshot_name(uint64_t generation, Revision base) {
  return fmt::format("snapshot-{:016x}-{:016x}", generation, base.value);
}

std::string temporary_name(const std::string& name) { return name + std::string(kTemporary); }
std::string damaged_name(const std::string& name) { return name + std::string(kDamaged); }

JournalName parse_journal_name(std::string_view name) {
  using Kind = JournalName::Kind;
  JournalName parsed;
  auto own = [&](std::string_view text) {
    return text == kFactsName || text.starts_with("log-") || text.starts_with("snapshot-");
  };
  if (name == kFactsName) {
    parsed.kind = Kind::kFacts;
  } else if (name.ends_with(kTemporary) && own(name.substr(0, name.size() - kTemporary.size()))) {
    parsed.kind = Kind::kTemporary;
  } else if (name.ends_with(kDamaged) && own(name.substr(0, name.size() - kDamaged.size()))) {
    parsed.kind = Kind::kDamaged;
  } else if (name.starts_with("log-") && parse_numbers(name.substr(4), parsed)) {
    parsed.kind = Kind::kSegment;
  } else if (name.starts_with("snapshot-") && parse_numbers(name.substr(9), parsed)) {
    parsed.kind = Kind::kSnapshot;
  }
  return parsed;
}

// ---- facts ----

std::string encode_root(const JournalRoot& root) {
  std::string content;
  Encoder(content).put(root);
  std::string covered;
  Encoder(covered).put(static_cast<uint32_t>(content.size()));
  std::string bytes(kFactsMagic);
  Encoder encoder(bytes);
  encoder.put(kFactsFormat);
  encoder.put(static_cast<uint32_t>(content.size()));
  encoder.put(hash_bytes(covered + content, kFactsFormat));
  return bytes + content;
}

Result<JournalRoot> decode_root(std::string_view bytes, bool& newer) {
  newer = false;
  if (bytes.size() < kFactsHead || !bytes.starts_with(kFactsMagic))
    return failure("it does not begin as one");
  auto format = number_at<uint32_t>(bytes, 8);
  auto length = number_at<uint32_t>(bytes, 12);
  std::string_view content = bytes.substr(kFactsHead);
  std::string covered(bytes.substr(12, 4));
  if (length != content.size() ||
      hash_bytes(covered.append(content), format) != number_at<uint64_t>(bytes, 16)) {
    return failure("its checksum is wrong");
  }
  newer = format > kFactsFormat;
  if (format == 1) {
    Decoder decoder(content);
    JournalRoot root;
    root.format = format;
    std::apply([&decoder](auto&... field) { (decoder.get(field), ...); }, fields_of_format_1(root));
    decoder.finish();
    if (decoder.failed()) return failure(decoder.take_error());
    return root;
  }
  if (format < 2 || format > kFactsFormat) return failure(fmt::format("format {}", format));
  Result<JournalRoot> root = decode_whole<JournalRoot>(content);
  if (root) root->format = format;
  return root;
}

// ---- frames ----

uint64_t frame_seed(std::string_view file_name) { return hash_bytes(file_name); }

size_t begin_frame(std::string& out) {
  size_t start = out.size();
  out.append(kFrameHead, '\0');
  return start;
}

uint64_t finish_frame(std::string& out, size_t start, const FrameHead& head, uint64_t seed) {
  std::string bytes(kFrameMagic);
  Encoder encoder(bytes);
  encoder.put(uint64_t{0});
  encoder.put(static_cast<uint32_t>(out.size() - start - kFrameHead));
  encoder.put(head.sequence);
  encoder.put(head.safe);
  encoder.put(head.opening);
  encoder.put(static_cast<uint8_t>(head.kind));
  CHECK(bytes.size() == kFrameHead);
  out.replace(start, kFrameHead, bytes);
  uint64_t checksum = hash_bytes(std::string_view(out).substr(start + kLengthAt), seed);
  std::string encoded;
  Encoder(encoded).put(checksum);
  out.replace(start + kChecksumAt, encoded.size(), encoded);
  return checksum;
}

uint64_t frame_size(std::string_view head) {
  if (head.size() < kFrameHead || !format_of(head)) return 0;
  return kFrameHead + uint64_t{number_at<uint32_t>(head, kLengthAt)};
}

std::optional<Frame> parse_frame(std::string_view bytes, uint64_t seed) {
  uint64_t size = frame_size(bytes);
  if (size == 0 || size > bytes.size()) return std::nullopt;
  Frame frame;
  frame.format = *format_of(bytes);
  frame.checksum = number_at<uint64_t>(bytes, kChecksumAt);
  if (hash_bytes(bytes.substr(kLengthAt, size - kLengthAt), seed) != frame.checksum) return std::nullopt;
  frame.head.sequence = number_at<uint64_t>(bytes, 16);
  frame.head.safe = number_at<uint64_t>(bytes, 24);
  frame.head.opening = number_at<uint64_t>(bytes, 32);
  auto kind = number_at<uint8_t>(bytes, 40);
  if (kind > static_cast<uint8_t>(FrameKind::kZnodes)) return std::nullopt;
  frame.head.kind = static_cast<FrameKind>(kind);
  frame.payload = bytes.substr(kFrameHead, size - kFrameHead);
  return frame;
}

// ---- payloads ----

void encode_records(const std::vector<DiskRecord>& records, std::string& out) { Encoder(out).put(records); }
Result<std::vector<DiskRecord>> decode_records(const Frame& frame) {
  return decode_whole<std::vector<DiskRecord>>(frame.payload, frame.format);
}
void encode_items(const std::vector<Record>& items, std::string& out) { Encoder(out).put(items); }
Result<std::vector<Record>> decode_items(const Frame& frame) {
  return decode_whole<std::vector<Record>>(frame.payload, frame.format);
}
void encode_entries(const std::vector<EntryPointer>& entries, std::string& out) { Encoder(out).put(entries); }
Result<std::vector<EntryPointer>> decode_entries(const Frame& frame) {
  return decode_whole<std::vector<EntryPointer>>(frame.payload, frame.format);
}
void encode_snapshot_head(const SnapshotHead& head, std::string& out) { Encoder(out).put(head); }
Result<SnapshotHead> decode_snapshot_head(const Frame& frame) {
  Decoder decoder(frame.payload, frame.format);
  SnapshotHead head;
  std::apply([&decoder](auto&... field) { (decoder.get(field), ...); }, fields_of_format_1(head));
  if (frame.format >= CodecFormat::kSecond) decoder.get(head.clock);
  if (head.clock > kClockMax) decoder.fail("a clock out of range");
  decoder.finish();
  if (decoder.failed()) return failure(decoder.take_error());
  if (head.format == 0 || head.format > kJournalFormat) return failure(fmt::format("format {}", head.format));
  return head;
}
void encode_snapshot_foot(const SnapshotFoot& foot, std::string& out) { Encoder(out).put(foot); }
Result<SnapshotFoot> decode_snapshot_foot(const Frame& frame) {
  return decode_whole<SnapshotFoot>(frame.payload, frame.format);
}

uint64_t chain_checksums(uint64_t until_now, uint64_t checksum) {
  std::string bytes;
  Encoder(bytes).put(checksum);
  return hash_bytes(bytes, until_now);
}

// ---- reading ----

FrameFile::FrameFile(Files& files, std::string name, uint64_t size, uint64_t seed, uint64_t chunk)
    : files_(files), name_(std::move(name)), size_(size), seed_(seed), chunk_(chunk) {}

std::string_view FrameFile::at_hand() const {
  if (offset_ < buffer_offset_ || offset_ > buffer_offset_ + buffer_.size()) return {};
  return std::string_view(buffer_).substr(offset_ - buffer_offset_);
}

FileResult FrameFile::fill(uint64_t bytes) {
  bytes = std::min(bytes, size_ - std::min(size_, offset_));
  std::string_view rest = at_hand();
  if (rest.size() >= bytes) return {};
  uint64_t wanted = std::max(bytes, std::min(chunk_, size_ - offset_)) - rest.size();
  buffer_ = std::string(rest);
  buffer_offset_ = offset_;
  std::string more;
  if (FileResult error = files_.read(name_, offset_ + buffer_.size(), wanted, more)) return error;
  buffer_ += more;
  return {};
}

FileResult FrameFile::next(std::optional<Frame>& frame) {
  if (FileResult error = try_next(frame)) return error;
  if (frame || buffer_offset_ == offset_) return {};
  // What was read ahead may be older than the file: another process may be writing it.
  buffer_.clear();
  buffer_offset_ = offset_;
  return try_next(frame);
}

FileResult FrameFile::try_next(std::optional<Frame>& frame) {
  frame.reset();
  if (FileResult error = fill(kFrameHead)) return error;
  uint64_t size = frame_size(at_hand());
  if (size == 0 || size > size_ - offset_) return {};
  if (FileResult error = fill(size)) return error;
  frame = parse_frame(at_hand(), seed_);
  if (frame) offset_ += size;
  return {};
}

namespace {

// Whether the frame that may begin at `at` is the evidence.
FileResult is_evidence(Files& files, const std::string& name, uint64_t size, uint64_t at,
                       const LossEvidence& evidence, bool& yes) {
  std::string head;
  if (FileResult error = files.read(name, at, kFrameHead, head)) return error;
  uint64_t whole = frame_size(head);
  if (whole == 0 || whole > size - at) return {};
  // What is cheap to see first: bytes that clients have chosen could look like many frames.
  auto sequence = number_at<uint64_t>(head, 16);
  auto safe = number_at<uint64_t>(head, 24);
  if (sequence <= evidence.missing || safe < evidence.missing || safe >= sequence) return {};
  if (number_at<uint64_t>(head, 32) < evidence.opening) return {};
  std::string bytes;
  if (FileResult error = files.read(name, at, whole, bytes)) return error;
  yes = parse_frame(bytes, frame_seed(name)).has_value();
  return {};
}

}  // namespace

FileResult find_loss(Files& files, const std::string& name, uint64_t size, uint64_t from, uint64_t chunk,
                     const LossEvidence& evidence, std::optional<uint64_t>& found) {
  std::string window;
  for (uint64_t at = from; at < size; at += chunk) {
    // Windows overlap by what a magic that lies across their border needs.
    if (FileResult error = files.read(name, at, chunk + kFrameMagic.size() - 1, window)) return error;
    for (size_t i = window.find(kAnyFrameMagic); i != std::string::npos;
         i = window.find(kAnyFrameMagic, i + 1)) {
      bool yes = false;
      if (FileResult error = is_evidence(files, name, size, at + i, evidence, yes)) return error;
      if (yes) {
        found = at + i;
        return {};
      }
    }
  }
  return {};
}

}  // namespace kvd
