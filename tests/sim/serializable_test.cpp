// Histories of several keys whose verdict is known: right ones have to pass, and wrong ones to be found. The other half
// of what the checks of transactions stand on.
#include "judge/serializable.hpp"

#include <doctest.h>

#include "history_fixture.hpp"

namespace kvd::sim {
namespace {

TxnOp op_of(TxnOp::Kind kind, std::string key, std::string_view value = "", int64_t by = 0) {
  return {kind, std::move(key), Bytes(value), by};
}
TxnOp put_of(std::string key, std::string_view value) {
  return op_of(TxnOp::Kind::kPut, std::move(key), value);
}
TxnOp get_of(std::string key) { return op_of(TxnOp::Kind::kGet, std::move(key)); }
TxnOp add_of(std::string key, int64_t by) { return op_of(TxnOp::Kind::kAdd, std::move(key), "", by); }
TxnCondition more_than(std::string key, std::string_view value) {
  return {std::move(key), TxnCondition::Of::kValue, TxnCondition::Is::kGreater, 0, Bytes(value)};
}
Transaction all(std::vector<TxnOp> ops) { return {{}, std::move(ops), {}}; }
Box<TxnDone> told(std::vector<OpResult> results, bool succeeded = true) {
  return TxnDone{succeeded, std::move(results)};
}
OpFound value_at(std::string_view value, uint64_t revision) { return {Bytes(value), Revision(revision)}; }

void done(History& history, Operation operation, Answer answer, uint64_t revision) {
  hear(history, ask(history, std::move(operation)), std::move(answer), revision);
}

bool is_serializable(const History& history) {
  int undecided = 0;
  const auto why = history.check_together("", {}, 10'000, undecided);
  CHECK(undecided == 0);
  return !why;
}

}  // namespace

TEST_CASE("together: two keys are seen as one transaction left them, or not at all") {
  History history;
  done(history, all({put_of("a", "1"), put_of("b", "1")}), told({OpPut{true}, OpPut{true}}), 1);
  done(history, all({put_of("a", "2"), put_of("b", "2")}), told({OpPut{false}, OpPut{false}}), 2);
  SUBCASE("both") {
    done(history, all({get_of("a"), get_of("b")}), told({value_at("2", 2), value_at("2", 2)}), 2);
    CHECK(is_serializable(history));
  }
  SUBCASE("one of each") {
    done(history, all({get_of("a"), get_of("b")}), told({value_at("2", 2), value_at("1", 1)}), 2);
    CHECK_FALSE(is_serializable(history));
  }
  SUBCASE("the right values, of another revision") {
    done(history, all({get_of("a")}), told({value_at("2", 1)}), 2);
    CHECK_FALSE(is_serializable(history));
  }
}

TEST_CASE("together: exactly one branch was done") {
  History history;
  done(history, AddNumber{"n", 5, {}}, NumberIs{5}, 1);
  const Transaction transfer{{more_than("n", "3")}, {add_of("n", -4), add_of("m", 4)}, {get_of("n")}};
  SUBCASE("the first") {
    done(history, transfer, told({OpAdded{1}, OpAdded{4}}), 2);
    done(history, transfer, told({value_at("1", 2)}, false), 2);
    CHECK(is_serializable(history));
  }
  SUBCASE("the wrong one") {
    done(history, transfer, told({value_at("5", 1)}, false), 1);
    CHECK_FALSE(is_serializable(history));
  }
}

TEST_CASE("together: revisions follow the time of calls and answers, and are no two writes") {
  History history;
  SUBCASE("against time") {
    done(history, AddNumber{"n", 1, {}}, NumberIs{2}, 2);
    done(history, AddNumber{"n", 1, {}}, NumberIs{1}, 1);
    CHECK_FALSE(is_serializable(history));
  }
  SUBCASE("at once") {
    const size_t first = ask(history, AddNumber{"n", 1, {}});
    done(history, AddNumber{"n", 1, {}}, NumberIs{1}, 1);
    hear(history, first, NumberIs{2}, 2);
    CHECK(is_serializable(history));
  }
  SUBCASE("one revision for two") {
    done(history, AddNumber{"n", 1, {}}, NumberIs{1}, 1);
    done(history, AddNumber{"m", 1, {}}, NumberIs{1}, 1);
    CHECK_FALSE(is_serializable(history));
  }
}

TEST_CASE("together: what nobody was told of may have been done where there is a revision for it") {
  History history;
  ask(history, AddNumber{"n", 10, {}});
  ask(history, AppendBytes{"log", Bytes("x"), {}});
  SUBCASE("done") {
    done(history, AddNumber{"n", 1, {}}, NumberIs{11}, 2);
    CHECK(is_serializable(history));
  }
  SUBCASE("not done, or later") {
    done(history, AddNumber{"n", 1, {}}, NumberIs{1}, 1);
    done(history, ReadKey{"n"}, KeyFound{Record("n", "11", {{}, Revision(2), 2})}, 2);
    CHECK(is_serializable(history));
  }
  SUBCASE("no revision for it") {
    done(history, AddNumber{"n", 1, {}}, NumberIs{11}, 1);
    CHECK_FALSE(is_serializable(history));
  }
  SUBCASE("twice") {
    done(history, AddNumber{"n", 1, {}}, NumberIs{21}, 3);
    CHECK_FALSE(is_serializable(history));
  }
  SUBCASE("called too late") {
    done(history, AddNumber{"m", 1, {}}, NumberIs{3}, 2);
    ask(history, AddNumber{"m", 2, {}});
    done(history, ReadKey{"m"}, KeyFound{Record("m", "3", {{}, Revision(2), 1})}, 2);
    CHECK_FALSE(is_serializable(history));
  }
}

TEST_CASE("together: a number is the sum of what was added, and of some of what nobody was told of") {
  History history;
  done(history, AddNumber{"n", 5, {}}, NumberIs{5}, 1);
  done(history, all({add_of("n", -2), add_of("m", 2)}), told({OpAdded{3}, OpAdded{2}}), 2);
  ask(history, AddNumber{"n", 10, {}});
  ask(history, AddNumber{"n", -1, {}});
  for (const int64_t value : {3, 13, 2, 12}) CHECK_FALSE(history.check_sum("n", Lineage(0), value));
  for (const int64_t value : {1, 14}) CHECK(history.check_sum("n", Lineage(0), value));
}

TEST_CASE("together: too many possibilities are called undecided, not right or wrong") {
  History history;
  for (int i = 0; i < 12; ++i) ask(history, AddNumber{"n", int64_t{1} << i, {}});
  done(history, ReadKey{"n"}, KeyFound{Record("n", "-1", {{}, Revision(12), 1})}, 12);
  int undecided = 0;
  CHECK_FALSE(history.check_together("", {}, 100, undecided));
  CHECK(undecided == 1);
}

}  // namespace kvd::sim
