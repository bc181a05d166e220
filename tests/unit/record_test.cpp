// Records and the bytes in them (msg/record.hpp, base/bytes.hpp): what is shared, what is copied, and that it lives as
// long as anybody has it.
#include "msg/record.hpp"

#include <doctest.h>

#include <string>
#include <thread>

#include "base/hash.hpp"
#include "msg/limits.hpp"

namespace kvd::record_test {
namespace {

constexpr Record::Metadata kMetadata{Revision(1), Revision(7), 3, Space::kRequests};

}  // namespace

TEST_CASE("bytes share what they were made of") {
  CHECK(Bytes().view().empty());
  CHECK(Bytes(std::string_view()).size() == 0);
  Bytes first(std::string(100, 'v'));
  Bytes second = first;
  CHECK(second.view().data() == first.view().data());
  CHECK(second == Bytes(std::string(100, 'v')));
  CHECK_FALSE(second == Bytes("v"));
  Bytes third = std::move(first);
  CHECK(first.size() == 0);
  second = Bytes();
  CHECK(third.view() == std::string(100, 'v'));
}

TEST_CASE("bytes are built where they stay, unless much room is left over") {
  BytesBuilder builder;
  CHECK(builder.take().size() == 0);
  builder.reserve(100);
  builder.append(std::string(60, 'a'));
  const char* place = builder.view().data();
  builder.append(std::string(39, 'b'));
  const Bytes built = builder.take();
  CHECK(built.view() == std::string(60, 'a') + std::string(39, 'b'));
  CHECK(built.view().data() == place);
  CHECK(builder.size() == 0);
  CHECK(builder.view().empty());

  std::string all;
  for (size_t size = 0; size < 50; ++size) {
    all += std::string(size, static_cast<char>('a' + size % 26));
    builder.append(all.substr(all.size() - size));
    CHECK(builder.view() == all);
  }
  CHECK(builder.take().view() == all);

  builder.reserve(1000);
  builder.append("little");
  place = builder.view().data();
  const Bytes copied = builder.take();
  CHECK(copied.view() == "little");
  CHECK(copied.view().data() != place);
  builder.append("anew");
  CHECK(builder.view() == "anew");
}

TEST_CASE("a record holds its key, its value and what is known of them") {
  for (size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{4095}, size_t{4096}, size_t{1} << 20}) {
    for (size_t key_size : {size_t{1}, size_t{2}, size_t{16}, limits::kKeyBytes}) {
      const std::string key(key_size, 'k');
      const std::string value(size, 'v');
      Record record(key, value, kMetadata);
      CHECK(record.key() == key);
      CHECK(record.has_value());
      CHECK(record.value() == value);
      CHECK(record.bytes().view() == value);
      CHECK(record.value_hash() == hash_bytes(value));
      CHECK(Record(key, Bytes(value), kMetadata).value_hash() == hash_bytes(value));
      CHECK(record.metadata() == kMetadata);
      CHECK(record == Record(key, Bytes(value), kMetadata));
      CHECK_FALSE(record == Record(std::string(key_size, 'l'), value, kMetadata));
    }
  }
  CHECK_FALSE(Record("k", "v", kMetadata) == Record("k", "w", kMetadata));
  CHECK_FALSE(Record("ab", "c", kMetadata) == Record("a", "bc", kMetadata));
  CHECK_FALSE(Record("k", "v", kMetadata) ==
              Record("k", "v", {Revision(1), Revision(8), 3, Space::kRequests}));
}

TEST_CASE("a deletion is a record without a value, which is not an empty one") {
  Record deletion = Record::deletion("k", kMetadata);
  CHECK(deletion.key() == "k");
  CHECK_FALSE(deletion.has_value());
  CHECK(deletion.value().empty());
  CHECK(deletion.metadata() == kMetadata);
  CHECK_FALSE(deletion == Record("k", "", kMetadata));
  CHECK(Record("k", "", kMetadata).has_value());
}

TEST_CASE("records share themselves, and large values with the bytes that they were made of") {
  Record record("k", "v", kMetadata);
  Record other = record;
  CHECK(other.key().data() == record.key().data());
  Bytes small = record.bytes();
  CHECK(small.view().data() == record.value().data());
  record = Record();
  other = Record();
  CHECK(small.view() == "v");  // it has kept what it is a part of

  Bytes large(std::string(1 << 20, 'v'));
  const char* place = large.view().data();
  record = Record("k", large, kMetadata);
  CHECK(record.value().data() == place);
  other = Record("l", record.bytes(), kMetadata);
  large = record.bytes();
  record = Record();
  CHECK(other.value().data() == place);
  other = Record();
  CHECK(large.view() == std::string(1 << 20, 'v'));
  // A large value that is a part of a record, as one that came from the wire.
  record = Record("k", std::string(10'000, 'v'), kMetadata);
  other = Record("l", record.bytes(), kMetadata);
  CHECK(other.value().data() == record.value().data());
  record = Record();
  CHECK(other.value() == std::string(10'000, 'v'));
}

TEST_CASE("threads may share records") {
  for (int round = 0; round < 20; ++round) {
    Record record("k", Bytes(std::string(10'000, 'v')), kMetadata);
    auto copy_and_drop = [record] {
      for (int i = 0; i < 1000; ++i) {
        Record copy = record;
        Bytes bytes = copy.bytes();
        if (bytes.size() != 10'000) std::abort();
      }
    };
    std::thread one(copy_and_drop);
    std::thread two(std::move(copy_and_drop));
    record = Record();
    one.join();
    two.join();
  }
}

}  // namespace kvd::record_test
