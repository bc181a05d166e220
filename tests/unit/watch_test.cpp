// What the watch actor is made of: the history that it keeps, and the index of who watches which key.
// The actor itself is tested on a node of its own, beside the simulator.
#include <doctest.h>

#include <memory>
#include <set>
#include <string>

#include "core/replica/log.hpp"
#include "core/watch/history.hpp"
#include "core/watch/watch_index.hpp"

namespace kvd::watch_test {
namespace {

EntryPointer entry(uint64_t revision, const std::string& value = "v", Space space = Space::kData) {
  auto made = std::make_shared<Entry>();
  made->revision = Revision(revision);
  made->effects = {Record("k", value, {Revision(1), Revision(revision), revision, space})};
  return made;
}

// As a watcher that is found tells who it is.
using Index = WatchIndex<const std::string>;
std::multiset<std::string> found(Index& index, std::string_view key) {
  std::multiset<std::string> names;
  index.begin_anew();
  index.each_once(key, [&](const std::string& name) { names.insert(name); });
  return names;
}
using Names = std::multiset<std::string>;

}  // namespace

TEST_CASE("history: it holds what came behind its oldest revision") {
  History history(1000);
  CHECK(history.oldest() == Revision(0));
  CHECK(history.newest() == Revision(0));
  for (uint64_t revision : {1, 2, 3}) history.add(entry(revision));
  CHECK(history.newest() == Revision(3));
  CHECK(history.first_behind(Revision(0)) == 0);
  CHECK(history.first_behind(Revision(2)) == 2);
  CHECK(history.first_behind(Revision(3)) == history.size());
  CHECK(history.at(0).revision == Revision(1));
}

TEST_CASE(
    "history: the oldest entries go where there are too many bytes, and the newest stays whatever its size") {
  const size_t each = entry_bytes(*entry(1));
  History history(2 * each);
  for (uint64_t revision : {1, 2, 3}) history.add(entry(revision));
  CHECK(history.size() == 2);
  CHECK(history.bytes() == 2 * each);
  CHECK(history.oldest() == Revision(1));  // of 1 itself nothing is left, and all that came behind it is here
  history.add(entry(4, std::string(10 * each, '.')));
  CHECK(history.size() == 1);
  CHECK(history.oldest() == Revision(3));
  CHECK(history.newest() == Revision(4));
}

TEST_CASE("history: what changes no data takes no room, and is no gap") {
  History history(1000);
  history.add(entry(1));
  const size_t bytes = history.bytes();
  history.add(entry(2, "v", Space::kRequests));
  CHECK(history.size() == 1);
  CHECK(history.bytes() == bytes);
  CHECK(history.newest() == Revision(2));
  CHECK(history.oldest() == Revision(0));
}

TEST_CASE("history: a reset forgets everything, forwards or back") {
  for (uint64_t base : {2, 90}) {
    History history(1000);
    for (uint64_t revision : {7, 8}) history.add(entry(revision));
    history.reset(Revision(base));
    CHECK(history.size() == 0);
    CHECK(history.bytes() == 0);
    CHECK(history.oldest() == Revision(base));
    CHECK(history.newest() == Revision(base));
  }
}

TEST_CASE("watch index: exact keys and prefixes of every length") {
  const std::string key = "key", a = "a", ab = "ab", all = "all", other = "other";
  Index index;
  index.add({"a/b", false}, &key);
  index.add({"a", true}, &a);
  index.add({"a/b", true}, &ab);
  index.add({"", true}, &all);
  index.add({"b", true}, &other);
  CHECK(found(index, "a/b") == Names{"key", "a", "ab", "all"});
  CHECK(found(index, "a/bc") == Names{"a", "ab", "all"});
  CHECK(found(index, "a") == Names{"a", "all"});
  CHECK(found(index, "b") == Names{"other", "all"});
  CHECK(found(index, "c") == Names{"all"});
}

TEST_CASE("watch index: of many changes each watcher hears once, until it is begun anew") {
  const std::string all = "all", a = "a", b = "b";
  Index index;
  index.add({"", true}, &all);
  index.add({"a", false}, &a);
  index.add({"b", false}, &b);
  Names names;
  const auto note = [&](const std::string& name) { names.insert(name); };
  for (const char* key : {"a", "b", "b", "c"}) index.each_once(key, note);
  CHECK(names == Names{"a", "all", "b"});
  index.begin_anew();
  index.each_once("b", note);
  CHECK(names == Names{"a", "all", "all", "b", "b"});
}

TEST_CASE("watch index: who is removed is found no more, and others of the same filter are") {
  const std::string one = "one", two = "two";
  Index index;
  for (const WatchFilter& filter : {WatchFilter{"k", false}, WatchFilter{"k", true}}) {
    index.add(filter, &one);
    index.add(filter, &two);
  }
  CHECK(found(index, "k") == Names{"one", "one", "two", "two"});
  index.remove({"k", true}, &one);
  CHECK(found(index, "k") == Names{"one", "two", "two"});
  index.remove({"k", true}, &two);
  index.remove({"k", false}, &two);
  CHECK(found(index, "k") == Names{"one"});
  CHECK(found(index, "kk") == Names{});
  index.remove({"k", false}, &one);
  CHECK(found(index, "k") == Names{});
}

}  // namespace kvd::watch_test
