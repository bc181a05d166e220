// A node with a disk that answers when the test lets it, and what such tests share.
// See single_node_harness.hpp for the stage on which it stands.
#pragma once
#include <doctest.h>

#include "core/replica/store.hpp"
#include "single_node_harness.hpp"

namespace kvd::sim {

inline const Member kA = member("a", 1);
inline const Member kB = member("b", 1);
inline const Member kC = member("c", 1);
inline constexpr char kCluster[] = "11111111-2222-4333-8444-555555555555";  // create_register()'s

inline NodeConfig durable_config() {
  NodeConfig config;
  config.self.durable = true;
  return config;
}

inline EntryPointer entry(uint64_t epoch, uint64_t revision, const std::string& key = "k") {
  auto made = std::make_shared<Entry>();
  made->epoch = Epoch(epoch);
  made->revision = Revision(revision);
  made->effects = {Record(key, std::to_string(revision), {Revision(1), Revision(revision), revision})};
  return made;
}

inline PutKey put(const std::string& key, const std::string& value) { return PutKey{key, Bytes(value), {}}; }

struct Durable : SingleNodeHarness {
  explicit Durable(const NodeConfig& config = durable_config()) : SingleNodeHarness(config) {}

  // What it reads: an empty directory ...
  void find_nothing() {
    REQUIRE(orders<DiskRead>().size() == 1);
    push(DiskAnswer(DiskFound{}));
    REQUIRE(orders<DiskRead>().size() == 1);
    push(DiskAnswer(DiskOpened{false, false, ""}));
    auto begun = orders<DiskSnapshotBegin>();
    REQUIRE(begun.size() == 1);
    CHECK(begun[0].fresh);
    REQUIRE(orders<DiskSnapshotEnd>().size() == 1);
    keep_all();
    push(DiskAnswer(DiskSnapshotDone{begun[0].number, true}));
  }
  // ... or what a life before has left: an empty snapshot and this log.
  void find(const Member& self, uint64_t epoch, std::vector<DiskRecord> records, const DiskOpened& opened,
            const std::string& cluster = kCluster, bool standalone = false) {
    DiskFound found;
    found.facts = DiskFacts{cluster, Lineage(0), Epoch(epoch), self, standalone, std::nullopt, std::nullopt};
    push(DiskAnswer(found));
    DiskPart part;
    part.records = std::move(records);
    push(DiskAnswer(part));
    push(DiskAnswer(opened));
  }
  void keep_all() {
    for (const DiskKeep& order : orders<DiskKeep>()) push(DiskAnswer(DiskKept{order.facts}));
  }
  // Everything that has been ordered is on disk now.
  void sync() {
    keep_all();
    for (const DiskWrite& order : orders<DiskWrite>()) push(DiskAnswer(DiskWritten{order.number}));
    for (const DiskSnapshotItems& order : orders<DiskSnapshotItems>())
      push(DiskAnswer(DiskSnapshotTaken{order.number}));
    for (const DiskSnapshotEnd& order : orders<DiskSnapshotEnd>())
      push(DiskAnswer(DiskSnapshotDone{order.number, true}));
  }
};

inline constexpr bool kIntact = true;
inline const DiskOpened kAllThere{kIntact, true, ""};
inline const DiskOpened kBeginning{!kIntact, true, "damaged"};

// Restarted with three entries of epoch 3, the first two known to be committed, in a cluster that b leads in epoch 3.
struct Returned : Durable {
  explicit Returned(const DiskOpened& opened = kAllThere, std::vector<Member> in_sync = {member("a", 77), kB},
                    const NodeConfig& config = durable_config())
      : Durable(config) {
    register_server(kB);
    create_register(led_by(kB, std::move(in_sync), 3));
    create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
    find(member("a", 77), 3, {entry(3, 1), entry(3, 2), DiskCommit{Revision(2)}, entry(3, 3)}, opened);
    keep_all();
    connect();
    keep_all();
    link = greet(kB, Epoch(3));
  }
  void append(uint64_t epoch, LogPosition previous, std::vector<EntryPointer> entries, uint64_t commit) {
    push(LinkReceived{link, Append{Epoch(epoch), previous, Revision(commit), std::move(entries)}});
  }
  LinkId link;
};

}  // namespace kvd::sim
