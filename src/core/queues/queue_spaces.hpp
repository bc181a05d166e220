// The spaces of queues (core/replica/spaces.hpp): what each operation on them leads to, decided at the log's end, and
// what a copy counts of what is committed. Which messages are ready is the views' to say (queue_views.hpp).
#pragma once
#include <absl/container/btree_set.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/queues/stored.hpp"
#include "core/replica/evaluation.hpp"
#include "core/replica/terms.hpp"

namespace kvd {

struct QueuesSpace {
  static constexpr Space kSpace = Space::kQueues;
  static Evaluation effects_of(Box<MakeQueue>& make, const WriteView& view);
  static Evaluation effects_of(DeleteQueue& remove, const WriteView& view);
  static Evaluation effects_of(Box<SendMessages>& send, const WriteView& view);
  static Evaluation effects_of(Box<ReceiveMessages>& receive, const WriteView& view);
  static Evaluation effects_of(Box<SettleMessages>& settle, const WriteView& view);
  static Evaluation effects_of(KickMessages& kick, const WriteView& view);
  static Evaluation effects_of(PurgeMessages& purge, const WriteView& view);
  static Evaluation effects_of(Box<MakeTopic>& make, const WriteView& view);
  static Evaluation effects_of(DeleteTopic& remove, const WriteView& view);
  static Evaluation effects_of(Box<PublishMessages>& publish, const WriteView& view);
  static Evaluation effects_of(Box<MakeSubscription>& make, const WriteView& view);
  static Evaluation effects_of(DeleteSubscription& remove, const WriteView& view);
  static Evaluation effects_of(SeekSubscription& seek, const WriteView& view);

  void count(const Record& item, bool add);
  bool free_some() { return false; }

  std::set<uint64_t> emptied;  // numbers: what bears them is being deleted
};

struct MessagesSpace {
  static constexpr Space kSpace = Space::kMessages;
  struct Sum {
    uint64_t messages = 0;
    uint64_t bytes = 0;                                   // of bodies
    std::map<std::string, uint64_t, std::less<>> groups;  // how many of each
    uint64_t grouped = 0;                                 // of all groups
  };
  void count(const Record& item, bool add);
  bool free_some() { return false; }

  std::map<uint64_t, Sum> sums;  // by the queue's number
};

struct DeliveriesSpace {
  static constexpr Space kSpace = Space::kDeliveries;
  struct Standing {
    std::array<absl::btree_set<MessageId>, 5> in;               // by MessageState
    absl::btree_set<std::pair<uint64_t, MessageId>> in_flight;  // by when that ends
    absl::btree_set<std::pair<uint64_t, MessageId>> delayed;
    bool empty() const {
      return std::all_of(in.begin(), in.end(), [](const auto& ids) { return ids.empty(); });
    }
  };
  void count(const Record& item, bool add);
  bool free_some();

  std::map<uint64_t, Standing> standing;  // by the queue's number
};

struct DedupSpace {
  static constexpr Space kSpace = Space::kDedup;
  void count(const Record& item, bool add);
  bool free_some() { return due.free_some(); }

  DueItems due;
  std::map<uint64_t, uint64_t> names;  // how many, by the number of the queue's making
};

}  // namespace kvd
