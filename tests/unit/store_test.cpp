// The store and its tables (store.hpp, table.hpp): order, lookup, what is counted, and that the same content
// is the same digest.
#include "core/replica/store.hpp"

#include <doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "base/prng.hpp"
#include "core/replica/spaces.hpp"
#include "core/replica/table.hpp"
#include "msg/limits.hpp"

namespace kvd::store_test {
namespace {

Record item(std::string_view key, std::string_view value = "v", uint64_t revision = 1) {
  return Record(key, value, {Revision(revision), Revision(revision), 1});
}

std::vector<std::string> keys_of(const std::vector<Record>& items) {
  std::vector<std::string> keys;
  for (const Record& found : items) keys.emplace_back(found.key());
  return keys;
}

// What the store and the write evaluator ask of a space, and that they can be refused.
struct Nameless {
  void count(const Record&, bool) {}
  bool free_some() { return false; }
};
static_assert(!ReplicatedSpace<Nameless>);
static_assert(ReplicatedSpace<FencesSpace>);
static_assert(Takes<DataSpace, PutKey>);
static_assert(!Takes<FencesSpace, PutKey>);
static_assert(!Takes<DataSpace, ReadKey>);

}  // namespace

TEST_CASE("a table finds every key and walks them in their order, through insertions, updates and removals") {
  Table table;
  std::map<std::string, Record> model;
  Prng prng(1);
  for (int step = 0; step < 50'000; ++step) {
    const std::string key = "k" + std::to_string(prng.below(3'000));
    Record* found = table.find(key);
    REQUIRE((found != nullptr) == model.contains(key));
    const Record record = item(key, "v", static_cast<uint64_t>(step) + 1);
    if (found == nullptr) {
      table.insert(record);
      model[key] = record;
    } else if (prng.one_in(2)) {
      CHECK(found->key().data() == model[key].key().data());
      *found = record;
      model[key] = record;
    } else {
      table.erase(found->key());
      model.erase(key);
    }
  }
  REQUIRE(table.size() == model.size());
  auto expected = model.begin();
  for (const Record& record : table) CHECK(record == (expected++)->second);
  for (const char* bound : {"", "k1", "k15", "k9999", "z"}) {
    const auto lower = model.lower_bound(bound);
    const auto upper = model.upper_bound(bound);
    CHECK((table.lower_bound(bound) == table.end()) == (lower == model.end()));
    CHECK((table.upper_bound(bound) == table.end()) == (upper == model.end()));
    if (lower != model.end()) CHECK(table.lower_bound(bound)->key() == lower->first);
    if (upper != model.end()) CHECK(table.upper_bound(bound)->key() == upper->first);
  }
  CHECK(table.find("") == nullptr);
  CHECK(table.find("nobody") == nullptr);
}

// Without a seed this takes minutes, and ends by the test's time limit.
TEST_CASE("keys that were made to have one hash are found as fast as others") {
  auto colliding = [](uint64_t number) {
    // These cancel what the next 8 bytes are multiplied with.
    std::string key("\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe", 8);
    for (int shift = 0; shift < 64; shift += 8) key += static_cast<char>(number >> shift);
    return key + std::string(16, 'x');
  };
  CHECK(hash_bytes(colliding(1)) == hash_bytes(colliding(2)));
  constexpr uint64_t kKeys = 100'000;
  Table table;
  for (uint64_t i = 0; i < kKeys; ++i) table.insert(item(colliding(i)));
  for (uint64_t i = 0; i < kKeys; ++i) REQUIRE(table.find(colliding(i)) != nullptr);
  CHECK(table.find(colliding(kKeys)) == nullptr);
}

TEST_CASE("the store has the very records of the log") {
  Entry entry{
      Epoch(1), Revision(1), {item("a"), Record("b", Bytes(std::string(10'000, 'v')), {{}, Revision(1), 1})}};
  Store store;
  store.apply(entry);
  CHECK(store.find("a")->key().data() == entry.effects[0].key().data());
  CHECK(store.find("b")->value().data() == entry.effects[1].value().data());
  CHECK(store.list(ListKeys{"", "", 10, false}).items[0].key().data() == entry.effects[0].key().data());
}

TEST_CASE("bytes, value bytes and the number of keys follow what is there") {
  Store store;
  CHECK(store.bytes() == 0);
  store.apply(Entry{Epoch(1), Revision(1), {item("a", std::string(100, 'v'), 1), item("b", "1", 1)}});
  const uint64_t both = store.bytes();
  CHECK(both == item_bytes(*store.find("a")) + item_bytes(*store.find("b")));
  CHECK(store.value_bytes() == 101);
  CHECK(store.size() == 2);
  store.apply(Entry{Epoch(1), Revision(2), {item("a", std::string(50, 'v'), 2)}});
  CHECK(store.bytes() == both - 50);
  CHECK(store.value_bytes() == 51);
  store.apply(
      Entry{Epoch(1), Revision(3), {Record("a", Bytes(std::string(1 << 20, 'v')), {{}, Revision(3), 2})}});
  CHECK(store.bytes() == both - 100 + (1 << 20));
  store.apply(Entry{Epoch(1),
                    Revision(4),
                    {Record::deletion("a", {{}, Revision(4), 0}), Record::deletion("b", {{}, Revision(4), 0}),
                     Record::deletion("c", {{}, Revision(4), 0})}});
  CHECK(store.bytes() == 0);
  CHECK(store.value_bytes() == 0);
  CHECK(store.digest() == 0);
  CHECK(store.size() == 0);
}

TEST_CASE("pages are in key order, with a prefix and behind a key") {
  Store store;
  for (const char* key : {"b", "a/2", "a/1", "a", "a/3", "c"}) store.put(item(key));
  Listing page = store.list(ListKeys{"a/", "", 2, false});
  CHECK(keys_of(page.items) == std::vector<std::string>{"a/1", "a/2"});
  CHECK(page.more);
  page = store.list(ListKeys{"a/", "a/2", 2, true});
  CHECK(keys_of(page.items) == std::vector<std::string>{"a/3"});
  CHECK(page.items[0].value().empty());
  CHECK(page.items[0].metadata() == store.find("a/3")->metadata());
  CHECK_FALSE(page.more);
  CHECK(keys_of(store.list(ListKeys{"", "a/3", 10, false}).items) == std::vector<std::string>{"b", "c"});
  CHECK(store.list(ListKeys{"d", "", 10, false}).items.empty());
  const std::string large(1 << 17, 'v');
  for (int i = 0; i < 10; ++i) store.put(item("l/" + std::to_string(i), large));
  page = store.list(ListKeys{"l/", "", 10, false});
  CHECK(page.items.size() == limits::kListBytes / large.size());
  CHECK(page.more);
  CHECK(store.list(ListKeys{"l/", "", 10, true}).items.size() == 10);
}

TEST_CASE("a page of many little items ends early, too") {
  Store store;
  for (size_t i = 0; i < limits::kListItemsMax; ++i)
    store.put(item("key-" + std::to_string(10'000 + i), std::string(100, 'v')));
  ListKeys query{"", "", limits::kListItemsMax, false};
  size_t listed = 0, pages = 0;
  for (bool more = true; more; ++pages) {
    Listing page = store.list(query);
    more = page.more;
    listed += page.items.size();
    query.after = page.items.back().key();
  }
  CHECK(listed == limits::kListItemsMax);
  CHECK(pages == 4);
  query = ListKeys{"", "", limits::kListItemsMax / 2, true};
  CHECK(store.list(query).items.size() == query.limit);
}

TEST_CASE("a store is freed bit by bit") {
  Store store;
  Record kept = item("kept", std::string(100, 'v'));
  store.put(kept);
  for (int i = 0; i < 30'000; ++i) store.put(item("key-" + std::to_string(i)));
  for (int i = 0; i < 100; ++i)
    store.apply(
        Entry{Epoch(1), Revision(9), {Record::deletion("key-" + std::to_string(i), {{}, Revision(9), 0})}});
  Store moved = std::move(store);
  int steps = 1;
  while (moved.free_some()) ++steps;
  CHECK(steps == 8);
  CHECK(moved.size() == 0);
  CHECK(kept.value() == std::string(100, 'v'));
  CHECK_FALSE(Store().free_some());
}

TEST_CASE("what a write remembers of requests is found by age, also when it comes twice") {
  Store store;
  for (uint64_t revision : {1, 2, 3}) {
    store.put(Record("r" + std::to_string(revision), "v",
                     {Revision(revision), Revision(revision), 1, Space::kRequests}));
  }
  store.put(*store.find("r1", Space::kRequests));
  store.put(Record("lock", "v", {Revision(3), Revision(3), 1, Space::kFences}));  // together with r3
  store.apply(Entry{Epoch(1), Revision(4), {Record::deletion("r2", {{}, Revision(4), 0, Space::kRequests})}});
  CHECK(store.find("r1") == nullptr);  // a space of its own
  REQUIRE(store.requests_by_age().size() == 2);
  CHECK(store.requests_by_age().begin()->second.key() == "r1");
  CHECK(store.requests_by_age().at(Revision(3)).key() == "r3");
}

TEST_CASE("a digest is the same after any history that leads to the same content") {
  Prng prng(7);
  Store through_log;
  for (uint64_t r = 1; r <= 2'000; ++r) {
    const std::string key = "k" + std::to_string(prng.below(300));
    const Record::Metadata metadata{Revision(1), Revision(r), r};
    // Large values both ways: within the record, as from the wire, and shared.
    const std::string value(prng.one_in(10) ? 5'000 : 10, 'v');
    Record effect = prng.one_in(3)   ? Record::deletion(key, metadata)
                    : prng.one_in(2) ? Record(key, Bytes(value), metadata)
                                     : Record(key, value, metadata);
    through_log.apply(Entry{Epoch(1), Revision(r), {effect}});
  }
  Store from_snapshot;
  std::vector<Record> items;
  for (const Record& record : through_log.items()) items.push_back(record);
  for (auto it = items.rbegin(); it != items.rend(); ++it)
    from_snapshot.put(Record(it->key(), it->value(), it->metadata()));
  CHECK(from_snapshot.digest() == through_log.digest());
  CHECK(from_snapshot.size() == through_log.size());
  CHECK(from_snapshot.value_bytes() == through_log.value_bytes());
  from_snapshot.clear();
  CHECK(from_snapshot.digest() == 0);
}

TEST_CASE("a store's digest is the same for the same content, whatever the way") {
  Entry first{
      Epoch(1),
      Revision(1),
      {Record("a", "1", {Revision(1), Revision(1), 1}), Record("b", "2", {Revision(1), Revision(1), 1})}};
  Entry second{Epoch(1), Revision(2), {Record::deletion("a", {Revision(1), Revision(2), 0})}};
  Store through_log;
  through_log.apply(first);
  through_log.apply(second);
  Store from_snapshot;
  from_snapshot.put(Record("b", "2", {Revision(1), Revision(1), 1}));
  CHECK(through_log.digest() == from_snapshot.digest());
  from_snapshot.apply(second);
  CHECK(through_log.digest() == from_snapshot.digest());
  from_snapshot.put(Record("b", "3", {Revision(1), Revision(2), 2}));
  CHECK(through_log.digest() != from_snapshot.digest());
  // Remembered requests and fences are part of it, and of what a snapshot carries.
  Entry keyed{Epoch(1), Revision(3), {Record("b", "x", {Revision(3), Revision(3), 1, Space::kRequests})}};
  uint64_t without = through_log.digest();
  through_log.apply(keyed);
  CHECK(through_log.digest() != without);
  without = through_log.digest();
  keyed.effects = {Record("b", "x", {Revision(3), Revision(3), 1, Space::kFences})};
  through_log.apply(keyed);
  CHECK(through_log.digest() != without);
  Store copy;
  Space space = Space::kData;
  std::string last;
  for (auto items = through_log.items_behind(space, last, 1); !items.empty();
       items = through_log.items_behind(space, last, 1)) {
    CHECK(items.size() == 1);
    space = items.back().space();
    last = items.back().key();
    copy.put(items.back());
  }
  CHECK(copy.digest() == through_log.digest());
  CHECK(copy.requests_by_age() == through_log.requests_by_age());
  from_snapshot.apply(first);  // older than what is there: skipped for b, taken for a
  CHECK(from_snapshot.find("b")->value() == "3");
}

}  // namespace kvd::store_test
