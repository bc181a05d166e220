// The cross-thread queue together with uv_async_send, under ThreadSanitizer: several producers, one loop.
// Fails when an item or a wake-up is lost (the loop sleeps and the deadline passes), when the items of one
// producer come out of order, or when the sanitizer sees a race. Producers pause now and then, so that the
// loop goes to sleep, which is when a wake-up can be lost.
#include <uv.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "base/take_all_stack.hpp"

namespace {

constexpr int kProducers = 4;
constexpr uint64_t kItems = 50'000;  // of each
constexpr uint64_t kBurst = 5;
constexpr uint64_t kDeadlineMs = 120'000;

struct Item {
  int producer;
  uint64_t number;
};

struct Consumer {
  uv_loop_t loop{};
  uv_async_t wake{};
  uv_timer_t deadline{};
  kvd::TakeAllStack<Item> stack;
  std::array<std::atomic<uint64_t>, kProducers> next{};  // relaxed, so as to hide no race of the stack's
  uint64_t received = 0;
  uint64_t turns = 0;
  const char* fault = nullptr;

  void finish() {
    uv_close(reinterpret_cast<uv_handle_t*>(&wake), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&deadline), nullptr);
  }
  void take() {
    ++turns;
    for (const Item& item : stack.take_all()) {
      if (item.number != next[item.producer].fetch_add(1, std::memory_order_relaxed))
        fault = "an item is out of order, lost or came twice";
      ++received;
    }
    if (received == kProducers * kItems) finish();
  }
};

void produce(Consumer& consumer, int producer) {
  for (uint64_t i = 0; i < kItems; ++i) {
    if (consumer.stack.push(Item{producer, i})) uv_async_send(&consumer.wake);
    while (i % kBurst == 0 && consumer.next[producer].load(std::memory_order_relaxed) <= i)
      std::this_thread::yield();
  }
}

}  // namespace

int main() {
  Consumer consumer;
  uv_loop_init(&consumer.loop);
  uv_async_init(&consumer.loop, &consumer.wake,
                [](uv_async_t* handle) { static_cast<Consumer*>(handle->data)->take(); });
  uv_timer_init(&consumer.loop, &consumer.deadline);
  consumer.wake.data = consumer.deadline.data = &consumer;
  uv_timer_start(
      &consumer.deadline,
      [](uv_timer_t* timer) {
        auto* late = static_cast<Consumer*>(timer->data);
        std::fprintf(stderr, "%llu items of %llu after %llu ms: an item or a wake-up is lost\n",
                     static_cast<unsigned long long>(late->received),
                     static_cast<unsigned long long>(kProducers * kItems),
                     static_cast<unsigned long long>(kDeadlineMs));
        std::_Exit(1);  // the producers still use what is ours
      },
      kDeadlineMs, 0);

  std::vector<std::thread> producers;
  for (int i = 0; i < kProducers; ++i) producers.emplace_back(produce, std::ref(consumer), i);
  uv_run(&consumer.loop, UV_RUN_DEFAULT);
  for (std::thread& producer : producers) producer.join();
  uv_loop_close(&consumer.loop);

  if (consumer.fault == nullptr && !consumer.stack.take_all().empty()) consumer.fault = "an item came twice";
  if (consumer.fault != nullptr) std::fprintf(stderr, "%s\n", consumer.fault);
  std::printf("%llu items in %llu turns\n", static_cast<unsigned long long>(consumer.received),
              static_cast<unsigned long long>(consumer.turns));
  return consumer.fault == nullptr ? 0 : 1;
}
