// The backup format: written from parts of a store that changes meanwhile, read back in pieces of every size, and every
// byte of it damaged, cut and put out of place.
#include "core/replica/backup.hpp"

#include <doctest.h>

#include "msg/limits.hpp"

using namespace kvd;

namespace {

constexpr size_t kPartBytes = 120;  // two or three items

// What format 1 wrote: the keys a and b, and one that came with an idempotency key. It has to be read for ever.
constexpr char kBackupOfFormat1[] =
    "6b7646314c476aa2cc70eb7d660000000000000000000000000000000000000000000000000000000301000000240000"
    "0036323934343665302d393863352d346334662d626263302d3834643962353239333638640000000000000000010000"
    "00000000000e0000003132372e302e302e313a38393737fac93d9494038c69010000000000000002000000000000006b"
    "764631485b93d34f24db857a000000010000000000000000000000000000000000000000000000040300000001000000"
    "610500000076616c75650100000000000000010000000000000001000000000000000001000000620100000076020000"
    "00000000000200000000000000010000000000000000010000006b0a000000c8a01ce1a03e1789030102000000000000"
    "0002000000000000000100000000000000016b7646314ec430183334dac5400000000200000000000000000000000000"
    "000000000000000000000501000000000000000300000000000000020000000000000012d0ab0d95758ba20000000000"
    "00000000000000000000000000000000000000370be7a8a5591b47";

// A server as the replica has it: a store, a log, and parts of them on request.
struct Source {
  Store store;
  std::vector<EntryPointer> log;

  void write(const std::string& key, std::optional<std::string> value, Space in = Space::kData) {
    auto entry = std::make_shared<Entry>();
    entry->epoch = Epoch(1);
    entry->revision = Revision(log.size() + 1);
    const Record::Metadata metadata{entry->revision, entry->revision, 1, in};
    entry->effects = {value ? Record(key, *value, metadata) : Record::deletion(key, metadata)};
    store.apply(*entry);
    log.push_back(std::move(entry));
  }
  SnapshotPart part(const SnapshotPart* former) {
    SnapshotPart next;
    next.cluster = "c";
    next.lineage = Lineage(2);
    next.from = Member{ServerId{"a"}, Incarnation(7)};
    next.at = LogPosition{Epoch(1), Revision(log.size())};
    if (former != nullptr) {
      for (size_t i = former->at.revision.value; i < log.size(); ++i) next.entries.push_back(log[i]);
      if (!former->items.empty()) {
        space = former->items.back().space();
        after = former->items.back().key();
      }
    }
    next.items = store.items_behind(space, after, kPartBytes);
    next.more = !next.items.empty();
    next.digest = store.digest();
    return next;
  }
  Space space = Space::kData;
  std::string after;
};

// Between the parts: keys before and behind the cursor are overwritten, deleted, made and made again.
std::string changing(Source& source) {
  for (int i = 10; i < 40; ++i) source.write("k" + std::to_string(i), "value " + std::to_string(i));
  source.write("request", "answer", Space::kRequests);
  BackupWriter writer;
  std::string bytes;
  SnapshotPart part = source.part(nullptr);
  int round = 0;
  while (true) {
    writer.add(part, bytes);
    if (!part.more) return bytes;
    ++round;
    if (round % 3 != 0 && round < 20) {
      source.write("k1" + std::to_string(round % 10), "again");
      source.write("k3" + std::to_string(round % 10), std::nullopt);
      source.write("k2" + std::to_string(round % 10), "overwritten " + std::to_string(round));
      source.write("k2" + std::to_string((round + 3) % 10), std::nullopt);
      source.write("z" + std::to_string(round), "new");
      if (round == 4) source.write("request", std::nullopt, Space::kRequests);
      if (round == 5) source.write("z4", std::nullopt);
    }
    if (round == 8) source.write("a", "before everything");
    SnapshotPart next = source.part(&part);
    part = std::move(next);
  }
}

std::string read_in_pieces(BackupReader& reader, std::string_view bytes, size_t piece) {
  for (size_t at = 0; at < bytes.size(); at += piece) {
    if (!reader.feed(bytes.substr(at, piece)).empty()) break;
  }
  return reader.finish();
}
std::string wrong_with(std::string_view bytes, size_t piece = 1000) {
  BackupReader reader;
  return read_in_pieces(reader, bytes, piece);
}

std::vector<std::string> frames_of(std::string_view bytes) {
  std::vector<std::string> frames;
  while (!bytes.empty()) {
    frames.emplace_back(bytes.substr(0, frame_size(bytes)));
    bytes.remove_prefix(frames.back().size());
  }
  return frames;
}

}  // namespace

TEST_CASE("backup: what changed between the parts is there, in pieces of any size") {
  Source source;
  const std::string bytes = changing(source);
  for (size_t piece : {size_t{1}, size_t{7}, size_t{41}, size_t{300}, bytes.size()}) {
    BackupReader reader;
    CHECK(read_in_pieces(reader, bytes, piece) == "");
    CHECK(reader.store().digest() == source.store.digest());
    CHECK(reader.store().size() == source.store.size());
    CHECK(reader.foot().revision.value == source.log.size());
    CHECK(reader.head().base.revision == Revision(31));
    CHECK(reader.head().facts.cluster == "c");
    CHECK(reader.bytes() == bytes.size());
  }
}

TEST_CASE("backup: an empty store has one, too") {
  Source source;
  BackupWriter writer;
  std::string bytes;
  writer.add(source.part(nullptr), bytes);
  BackupReader reader;
  CHECK(read_in_pieces(reader, bytes, 10) == "");
  CHECK(reader.store().size() == 0);
}

TEST_CASE("backup: every damaged byte is noticed, and every cut") {
  Source source;
  const std::string bytes = changing(source);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    CHECK_MESSAGE(wrong_with(damaged) != "", "byte " << at);
    if (at % 7 == 0) CHECK_MESSAGE(wrong_with(bytes.substr(0, at)) != "", "cut at " << at);
  }
  CHECK(wrong_with("") == "is empty");
  CHECK(wrong_with(bytes.substr(0, bytes.size() - 1)) == "is cut off: its end is missing");
  CHECK(wrong_with(bytes + "x") == "goes on behind its end");
  CHECK(wrong_with(std::string(100, 'x')) == "is no snapshot of kvd's");
}

TEST_CASE("backup: parts that are missing, twice there or in another order are noticed") {
  Source source;
  const std::vector<std::string> frames = frames_of(changing(source));
  REQUIRE(frames.size() > 10);
  auto joined = [](const std::vector<std::string>& all) {
    std::string bytes;
    for (const std::string& frame : all) bytes += frame;
    return bytes;
  };
  for (size_t i = 0; i + 1 < frames.size(); ++i) {
    std::vector<std::string> missing = frames, twice = frames, swapped = frames;
    missing.erase(missing.begin() + static_cast<ptrdiff_t>(i));
    twice.insert(twice.begin() + static_cast<ptrdiff_t>(i), frames[i]);
    std::swap(swapped[i], swapped[i + 1]);
    CHECK(wrong_with(joined(missing)) != "");
    CHECK(wrong_with(joined(twice)) != "");
    CHECK(wrong_with(joined(swapped)) != "");
  }
}

TEST_CASE("backup: an end that does not fit what came before is noticed") {
  Source source;
  source.write("k", "v");
  SnapshotPart part = source.part(nullptr);
  BackupWriter writer;
  std::string bytes;
  writer.add(part, bytes);
  SnapshotPart last = source.part(&part);
  SUBCASE("a digest") { last.digest ^= 1; }
  SUBCASE("a revision") { last.at.revision = Revision(9); }
  SUBCASE("entries that do not follow") {
    source.write("l", "v");
    source.write("m", "v");
    last = source.part(&part);
    last.entries.erase(last.entries.begin());
  }
  SUBCASE("keys out of order") { last.items = part.items; }
  writer.add(last, bytes);
  CHECK(wrong_with(bytes) != "");
}

TEST_CASE("a value that could not be written again is refused, also where no frame bounds it") {
  for (size_t size : {limits::kFrameBytes, limits::kFrameBytes + 1}) {
    std::string bytes;
    encode_items({Record("k", std::string(limits::kFrameBytes, 'v'), {Revision(1), Revision(1), 1})}, bytes);
    constexpr size_t kLengthAt = 4 + 4 + 1;
    bytes.insert(kLengthAt + 4, size - limits::kFrameBytes, 'v');
    for (size_t i = 0; i < 4; ++i) bytes[kLengthAt + i] = static_cast<char>(size >> (8 * i));
    Frame frame;
    frame.payload = bytes;
    CHECK(decode_items(frame).has_value() == (size <= limits::kFrameBytes));
  }
}

TEST_CASE("backup: a store beyond the limit, and a snapshot out of a data directory, are refused") {
  Source source;
  const std::string bytes = changing(source);
  BackupReader small(1000);
  CHECK(read_in_pieces(small, bytes, 100) == "holds more than 1000 bytes");
  CHECK(small.too_large());

  std::string bare;
  size_t start = begin_frame(bare);
  encode_snapshot_head(SnapshotHead{}, bare);
  finish_frame(bare, start, FrameHead{FrameKind::kSnapshotHead, 0, 0, 0},
               frame_seed(snapshot_name(1, Revision(3))));
  CHECK(wrong_with(bare).find("out of a data directory") != std::string::npos);
}

TEST_CASE("backup: one of format 1 is read") {
  std::string bytes;
  for (size_t at = 0; at + 1 < sizeof kBackupOfFormat1; at += 2)
    bytes += static_cast<char>(std::stoi(std::string(kBackupOfFormat1 + at, 2), nullptr, 16));
  BackupReader reader;
  CHECK(reader.feed(bytes).empty());
  CHECK(reader.finish().empty());
  CHECK(reader.head().format == 1);
  CHECK(reader.foot().revision == Revision(2));
  CHECK(reader.store().size() == 2);
  CHECK(reader.store().size(Space::kRequests) == 1);
  CHECK(reader.store().find("a")->value() == "value");
  CHECK(reader.store().clock() == 0);
}
