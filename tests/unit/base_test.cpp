// The pieces of src/base that would suit any project: the buffer and the queue of messages, the cross-thread stack on
// one thread, the JSON writer and the trace's hash.
#include <doctest.h>

#include <memory>
#include <vector>

#include "base/append_buffer.hpp"
#include "base/bounded_queue.hpp"
#include "base/decimal.hpp"
#include "base/json_writer.hpp"
#include "base/take_all_stack.hpp"
#include "base/trace.hpp"

namespace kvd::base_test {

TEST_CASE("a decimal number has one text, and 64 bits") {
  for (int64_t number : {int64_t{0}, int64_t{-1}, int64_t{10}, INT64_MIN, INT64_MAX})
    CHECK(parse_decimal(std::to_string(number)) == number);
  for (const char* text : {"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "1e3", "0x1",
                           "9223372036854775808", "-9223372036854775809", "v1"})
    CHECK_FALSE(parse_decimal(text));
  CHECK_FALSE(parse_decimal(std::string(1 << 20, '1')));
}

TEST_CASE("an append buffer keeps its items when it grows, is cut and changes hands") {
  auto counted = std::make_shared<int>(0);
  AppendBuffer<std::shared_ptr<int>> buffer;
  CHECK(buffer.empty());
  for (int i = 0; i < 1000; ++i) buffer.append(i % 2 == 0 ? counted : std::make_shared<int>(i));
  REQUIRE(buffer.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(*buffer[i] == (i % 2 == 0 ? 0 : i));
  CHECK(counted.use_count() == 501);
  buffer.truncate(3);
  CHECK(std::vector<std::shared_ptr<int>>(buffer.begin(), buffer.end()).size() == 3);
  CHECK(counted.use_count() == 3);
  const size_t capacity = buffer.capacity();
  AppendBuffer<std::shared_ptr<int>> other = std::move(buffer);
  CHECK(other.size() == 3);
  buffer.append(counted);
  buffer.swap(other);
  CHECK(buffer.capacity() == capacity);
  CHECK(*buffer[1] == 1);
  buffer = std::move(other);
  CHECK(buffer.size() == 1);
  CHECK(counted.use_count() == 2);
  buffer.clear();
  CHECK(counted.use_count() == 1);
}

TEST_CASE("a bounded queue refuses beyond its bound and keeps the order") {
  BoundedQueue<int> queue(2);
  CHECK(queue.push(1));
  CHECK(queue.push(2));
  CHECK_FALSE(queue.push(3));
  for (int i = 1; i < 10'000; ++i) {
    int& first = queue.front();
    CHECK(first == i);
    CHECK(queue.size() == 2);
    CHECK_FALSE(queue.push(0));
    queue.pop_front();
    CHECK(queue.push(i + 2));
  }
  for (int last : {10'000, 10'001}) {
    CHECK(queue.front() == last);
    queue.pop_front();
  }
  CHECK(queue.empty());
}

TEST_CASE("what is first in a bounded queue stays where it is while more is pushed, and goes with its pop") {
  BoundedQueue<std::shared_ptr<int>> queue(10'000);
  auto first = std::make_shared<int>(1);
  CHECK(queue.push(first));
  std::shared_ptr<int>& at = queue.front();
  for (int i = 2; i <= 10'000; ++i) CHECK(queue.push(std::make_shared<int>(i)));
  CHECK(at == first);
  queue.pop_front();
  CHECK(first.use_count() == 1);
  for (int i = 2; i <= 10'000; ++i) {
    CHECK(*queue.front() == i);
    queue.pop_front();
  }
  CHECK(queue.empty());
}

TEST_CASE("a stack taken at once gives the order of the pushes, and tells who has to wake the consumer") {
  TakeAllStack<std::unique_ptr<int>> stack;
  CHECK(stack.push(std::make_unique<int>(1)));
  CHECK_FALSE(stack.push(std::make_unique<int>(2)));
  auto items = stack.take_all();
  REQUIRE(items.size() == 2);
  CHECK(*items[0] == 1);
  CHECK(*items[1] == 2);
  CHECK(stack.take_all().empty());
  CHECK(stack.push(std::make_unique<int>(3)));  // what is left is freed with the stack
}

TEST_CASE("JSON puts its commas and escapes") {
  JsonWriter json;
  json.begin_object().member("a", 1).key("b").begin_array().value("x\"\\\n\x01").value(true).end_array();
  json.key("c").begin_object().end_object().member("d", "}").member("e", false).end_object();
  CHECK(json.take() == "{\"a\":1,\"b\":[\"x\\\"\\\\\\n\\u0001\",true],\"c\":{},\"d\":\"}\",\"e\":false}");
}

TEST_CASE("the trace's hash depends on every line and on their order") {
  auto hash = [](std::initializer_list<const char*> lines) {
    Trace trace;
    trace.enable(1);
    for (const char* line : lines) trace.add(line);
    CHECK(trace.tail().size() <= 1);
    return trace.hash();
  };
  CHECK(hash({"a", "b"}) == hash({"a", "b"}));
  CHECK(hash({"a", "b"}) != hash({"b", "a"}));
  CHECK(hash({"a"}) != hash({"a", "b"}));
}

}  // namespace kvd::base_test
