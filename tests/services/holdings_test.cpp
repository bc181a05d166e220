// What clients hold (core/services/holdings.hpp) without a service: when each thing goes, and what is asked again.
// The services' own tests have the rest.
#include "core/services/holdings.hpp"

#include <doctest/doctest.h>

namespace kvd {
namespace {

struct Thing : Holding {
  bool believed = false;  // by its client
};

struct Book {
  Book() {
    out.certain_until = kNever;
    holdings.on(connection(ZkState::kConnected));
    for (const int key : {1, 2}) {
      Thing thing;
      thing.holder = kHolder;
      thing.believed = key == 1;
      holdings.add(key, std::move(thing));
    }
  }
  static ZkSessionChanged connection(ZkState state) { return {state, 7, seconds(6)}; }
  void end_holder(Duration grace) { holdings.on(HoldersEnded{{kHolder}, "it ended", grace}); }
  void pass(Duration time) {
    out.now += time;
    holdings.on_time();
  }

  static constexpr HolderId kHolder{3};
  NodeConfig config;
  Prng prng{1};
  Outbox out{config, prng};
  std::vector<int> found, checked, removed;
  Holdings<int, Thing> holdings{
      out,
      {.find = [this](int key) { found.push_back(key); },
       .check = [this](int key) { checked.push_back(key); },
       .remove = [this](int key) { removed.push_back(key); },
       .end_calls = [this](int key, const ServiceAnswer&) { return holdings.at(key).believed; },
       .unasked = {},
       .forgotten = {}}};
};
using Keys = std::vector<int>;

TEST_CASE("who may believe to hold has time to let go, who may not has none") {
  Book book;
  book.end_holder(seconds(4));
  CHECK(book.removed == Keys{2});
  book.pass(seconds(3));
  CHECK(book.removed == Keys{2});
  book.pass(seconds(1));
  CHECK(book.removed == Keys{2, 1});
}

TEST_CASE("what is gone is let go although there was time left") {
  Book book;
  book.end_holder(seconds(4));
  book.holdings.take_back(1, "again", seconds(4));
  CHECK(book.removed == Keys{2});
  book.holdings.take_back(1, "others deleted it", Duration(0));
  CHECK(book.removed == Keys{2, 1});
  book.pass(seconds(5));
  CHECK(book.removed == Keys{2, 1});
}

TEST_CASE("what was taken back is its holder's no more, and nothing that the holder lost is told later") {
  Book book;
  const auto any = [](const Thing&) { return true; };
  CHECK(book.holdings.find_of(Book::kHolder, any) == 1);
  CHECK(book.holdings.find_of(HolderId(4), any) == std::nullopt);
  book.holdings.losses().add(Book::kHolder, "a place", "why");
  book.end_holder(seconds(4));
  CHECK(book.holdings.find_of(Book::kHolder, any) == std::nullopt);
  CHECK(book.holdings.losses().take(Book::kHolder, "a place") == std::nullopt);
}

TEST_CASE("what was put off goes on from where it is, and what is forgotten does not") {
  Book book;
  book.holdings.there(1, "/a");
  CHECK_FALSE(book.holdings.put_off(1, ZkCode::kNoNode));
  CHECK(book.holdings.put_off(1, ZkCode::kUnknown));
  CHECK(book.holdings.put_off(2, ZkCode::kUnknown));
  book.pass(kZkRetry);
  CHECK(book.checked == Keys{1});
  CHECK(book.found == Keys{2});

  book.holdings.on(Book::connection(ZkState::kConnecting));
  book.holdings.give_up(1);
  book.holdings.put_off(1, ZkCode::kNotConnected);
  book.holdings.put_off(2, ZkCode::kNotConnected);
  book.holdings.forget(2);
  CHECK(book.holdings.deadline() == kNever);
  CHECK_FALSE(book.holdings.on(Book::connection(ZkState::kConnected)));
  book.holdings.go_on_adrift();
  CHECK(book.removed == Keys{1, 1});
  CHECK(book.found == Keys{2});
}

TEST_CASE("a removal that was refused is tried again later than one that was not answered") {
  Book book;
  book.holdings.there(1, "/a");
  book.holdings.give_up(1);
  book.holdings.stays(1, ZkCode::kNoAuth);
  book.pass(seconds(9));
  CHECK(book.removed == Keys{1});
  book.pass(seconds(1));
  CHECK(book.removed == Keys{1, 1});
  book.holdings.stays(1, ZkCode::kUnknown);
  book.pass(kZkRetry);
  CHECK(book.removed == Keys{1, 1, 1});
}

TEST_CASE("who has a znode anew keeps it when the former one is forgotten") {
  Book book;
  book.holdings.there(1, "/a");
  book.holdings.there(2, "/a");
  book.holdings.forget(1);
  CHECK(book.holdings.in("/a") == 2);
  book.holdings.forget(2);
  CHECK(book.holdings.in("/a") == std::nullopt);
}

}  // namespace
}  // namespace kvd
