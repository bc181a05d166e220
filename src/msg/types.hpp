// The nouns of kvd: who, when, what. Plain data that every layer above speaks of, in messages, on the wire and in
// ZooKeeper; no decisions here.
#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.hpp"

namespace kvd {

// An epoch is one leader's reign; only a takeover increments it (the register in ZooKeeper, register.hpp).
using Epoch = StrongId<struct EpochTag>;
inline constexpr uint64_t kEpochMax = (uint64_t{1} << 53) - 1;  // what every JSON reader can hold
// A lineage is a history of the data. A new one begins empty after a total loss.
using Lineage = StrongId<struct LineageTag>;
inline constexpr uint64_t kLineageMax = (uint64_t{1} << 23) - 1;  // lineage_base() must fit an int64_t
// A revision is the place of one write in the log, and so also the version of the whole store after that
// write. Log index and revision are the same number: every entry is a write. Those of lineage L start at L *
// 2^40 + 1, so that no ETag or token of a lost lineage ever comes back.
using Revision = StrongId<struct RevisionTag>;
// An incarnation is one life of a server's memory: drawn at random at every start, never 0 for a living
// server.
using Incarnation = StrongId<struct IncarnationTag>;
// One client request between the shell and the node. The shell's numbers have the highest bit clear.
using RequestId = StrongId<struct RequestIdTag>;
// One TCP connection between servers. Numbers of links that the node dials are odd, of accepted ones even.
using LinkId = StrongId<struct LinkIdTag>;
// One call to ZooKeeper, numbered by the node.
using ZkCallId = StrongId<struct ZkCallIdTag>;

constexpr Revision lineage_base(Lineage lineage) { return Revision(lineage.value << 40); }
constexpr Lineage lineage_of(Revision revision) { return Lineage(revision.value >> 40); }

// The stable name of a server (--id), 1 to 255 bytes.
struct ServerId {
  std::string value;
  auto operator<=>(const ServerId&) const = default;
};

// Who exactly: a server and the life it is in. Two lives of one server are two replicas, since the second one
// may have forgotten what the first one acknowledged.
struct Member {
  ServerId id;
  Incarnation incarnation;
  auto operator<=>(const Member&) const = default;
};

// `host` is a name or an address without brackets; `port` is 1 to 65535.
struct Address {
  std::string host;
  uint16_t port = 0;
  auto operator<=>(const Address&) const = default;
};

struct ServerInfo {  // what a server tells about itself, in ZooKeeper and in its HELLO
  Member member;
  Address http;
  Address peer;
  bool durable = false;  // it keeps its data on a disk, which is read before anything else is done
  bool operator==(const ServerInfo&) const = default;
};

// Why a reign began.
enum class ElectionCause : uint8_t {
  kBootstrap,    // a new cluster
  kDead,         // the leader before was proven dead
  kSilent,       // ... not heard for too long
  kHandedOver,   // ... stopped, or was told to pass the lead on
  kFirstInLine,  // ... lost its znode, and this server's became the smallest
  kNewLineage,   // everything was lost
  kRestored,     // ZooKeeper had lost the register, or shown an older one
  kForced,       // an operator decided for this server's copy, which begins a new lineage
};
inline constexpr ElectionCause kLastElectionCause = ElectionCause::kForced;
const char* election_cause_name(ElectionCause cause);

// An epoch that has ended, as the registers after it remember it.
struct PastEpoch {
  Epoch epoch;
  uint64_t id = 0;      // Register::epoch_id
  uint64_t serial = 0;  // of its last register: what the next epoch took over from
  bool operator==(const PastEpoch&) const = default;
};
inline constexpr size_t kHistoryMax = 64;  // epochs that a register remembers

// The register: the one piece of cluster state that decides (ZooKeeper's /kvd/config). Changed by versioned
// sets only.
struct Register {
  std::string cluster;  // uuid, drawn when the register is created
  Lineage lineage;
  Epoch epoch;
  Member leader;
  ElectionCause cause = ElectionCause::kBootstrap;  // of this epoch
  std::string leader_znode;                         // its name below /election, e.g. server_0000000000
  std::vector<Member> in_sync;  // sorted by id; every one of them has every acknowledged write
  uint32_t min_in_sync = 1;
  bool disks = false;      // some server that keeps its data on a disk has been in sync
  uint64_t change_id = 0;  // drawn for each proposal: tells whose change is in place after an unknown outcome
  // What tells a successor from an older register, and from another history: see msg/history.hpp.
  uint64_t serial = 0;    // one more with every change, of whatever kind
  uint64_t epoch_id = 0;  // drawn by the takeover that began the epoch: tells two of one number apart
  std::vector<PastEpoch> history;  // the last kHistoryMax epochs before this one, oldest first
  bool operator==(const Register&) const = default;
};

struct LogPosition {  // how far a log reaches; epochs first, as they decide which of two logs is the newer
  Epoch epoch;
  Revision revision;
  auto operator<=>(const LogPosition&) const = default;
};

inline constexpr int32_t kNoVersion = -1;  // of a register that is not there

// What a server that does not believe ZooKeeper's register (rule 17) tells the others.
struct Claim {
  int32_t found = kNoVersion;  // the version that it does not believe
  // A register with a larger in-sync set that this server has ordered, as leader: it may have been in force.
  std::optional<Register> proposed;
  LogPosition end;       // of its log
  Revision commit;       // known to be committed
  uint64_t digest = 0;   // of its copy at `commit`
  bool differs = false;  // it knows that its copy differs from a leader's (rule 18)
  Epoch knows;           // the newest epoch that somebody spoke of to it
  bool operator==(const Claim&) const = default;
};
// What stands in ZooKeeper of a server that is registered.
struct Registration {
  ServerInfo info;
  std::optional<Register> remembers;  // while there is a claim the newest that it knows; else an older one
  std::optional<Claim> claim;
  bool operator==(const Registration&) const = default;
};

// In which format bytes hold entries and items (msg/codec.hpp). What is written is of the newest; on disk all former
// ones may lie.
enum class CodecFormat : uint8_t {
  kFirst = 1,  // entries without a clock
  kSecond = 2,
};
inline constexpr CodecFormat kNewestCodecFormat = CodecFormat::kSecond;

}  // namespace kvd
