// The only thing that two threads share in kvd:
// many threads push, one takes everything at once and reverses it.
//
// Why not a linked queue: one that publishes a node with a plain release store loses wake-ups together with
// uv_async_send (the consumer may see the wake-up before the node, find the queue empty and sleep). Here
// push() and take_all() are read-modify-write operations on one word, so whoever pushes onto an empty stack
// knows that it must wake the consumer, and whoever pushes onto a full one knows that the consumer has not
// taken it yet.
#pragma once
#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

namespace kvd {

template <class T>
class TakeAllStack {
 public:
  TakeAllStack() = default;
  TakeAllStack(const TakeAllStack&) = delete;
  TakeAllStack& operator=(const TakeAllStack&) = delete;
  ~TakeAllStack() { take_all(); }

  // Any thread. True when the stack was empty: the caller must then wake the consumer.
  [[nodiscard]] bool push(T item) {
    Node* below = head_.load(std::memory_order_relaxed);
    Node* node = new Node{std::move(item), below};
    while (!head_.compare_exchange_weak(below, node, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      node->below = below;
    }
    return below == nullptr;  // not node->below: the consumer may have freed the node by now
  }

  // One consumer thread. In the order of the pushes.
  std::vector<T> take_all() {
    std::vector<T> items;
    for (Node* node = head_.exchange(nullptr, std::memory_order_acq_rel); node != nullptr;) {
      items.push_back(std::move(node->item));
      delete std::exchange(node, node->below);
    }
    std::reverse(items.begin(), items.end());
    return items;
  }

 private:
  struct Node {
    T item;
    Node* below;
  };
  std::atomic<Node*> head_{nullptr};
};

}  // namespace kvd
