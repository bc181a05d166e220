// The replica actor: which reads are answered, when, and with what: this server's copy as it is, or, asked of the
// leader, the newest that is committed. See replica.hpp.
#include <algorithm>
#include <utility>

#include "core/mutation.hpp"
#include "core/queues/queue_reads.hpp"
#include "core/replica/leases.hpp"
#include "core/replica/replica.hpp"
#include "core/replica/table.hpp"
#include "core/replica/terms.hpp"
#include "core/topics/topic_reads.hpp"

namespace kvd {

// ---- what is answered at once ----

Answer Replica::read_now(const Operation& operation) const {
  if (const auto* list = std::get_if<ListKeys>(&operation)) {
    Listing listing = store_.list(*list);
    listing.complete = complete();
    return listing;
  }
  if (const auto* read = std::get_if<ReadKey>(&operation)) {
    const Record* item = store_.find(read->key);
    if (item == nullptr) return KeyMissing{complete()};
    return KeyFound{*item, complete(), lifetime_of(read->key)};
  }
  if (const auto* read = std::get_if<ReadLease>(&operation)) return read_lease(*read);
  const ReadAt at{std::max(clock_.ms(), store_.clock()), out_.wall_ms(), complete()};
  if (const auto* read = std::get_if<ReadQueue>(&operation)) return read_queue_here(*read, at);
  if (const auto* list = std::get_if<ListQueues>(&operation)) return list_queues(store_, *list, at);
  if (const auto* peek = std::get_if<PeekMessages>(&operation)) return peek_messages(store_, *peek, at);
  if (const auto* peek = std::get_if<PeekMessage>(&operation)) return peek_message(store_, *peek, at);
  if (const auto* read = std::get_if<ReadTopic>(&operation)) return read_topic(store_, *read, at);
  if (const auto* list = std::get_if<ListTopics>(&operation)) return list_topics(store_, *list, at);
  if (const auto* read = std::get_if<ReadSubscription>(&operation)) return read_subscription_here(*read, at);
  if (const auto* list = std::get_if<ListSubscriptions>(&operation))
    return list_subscriptions(store_, *list, at);
  if (const auto* page = std::get_if<PageTopic>(&operation)) return page_topic(store_, *page, at);
  if (const auto* list = std::get_if<ListAccess>(&operation)) return list_access(*list);
  return list_leases(std::get<ListLeases>(operation));
}

// Who waits for messages only the leader knows.
Answer Replica::read_queue_here(const ReadQueue& read, const ReadAt& at) const {
  Answer answer = read_queue(store_, read, at);
  auto* found = std::get_if<Box<QueueFound>>(&answer);
  if (found != nullptr && leader()) (*found)->queue.waiting = leader()->receives.size({read.name, ""});
  return answer;
}
Answer Replica::read_subscription_here(const ReadSubscription& read, const ReadAt& at) const {
  Answer answer = read_subscription(store_, read, at);
  auto* found = std::get_if<Box<SubscriptionFound>>(&answer);
  if (found != nullptr && leader())
    (*found)->subscription.waiting = leader()->receives.size({read.topic, read.name});
  return answer;
}

Lifetime Replica::lifetime_of(const std::string& key) const {
  if (store_.size(Space::kTerms) == 0) return {};
  const std::optional<StoredTerm> term = term_of(store_.find(key, Space::kTerms));
  if (!term) return {};
  if (term->lease == 0) return {left_until(term->deadline), 0};
  const std::optional<StoredLease> lease = lease_of(store_.find(lease_key(term->lease), Space::kLeases));
  return {lease ? left_until(lease->deadline) : 0, term->lease};
}

// By the log's clock, as far as this server has heard; or has learned by what it holds, before it hears a leader that
// is active.
uint64_t Replica::left_until(uint64_t deadline) const {
  return kvd::left_until(deadline, std::max(clock_.ms(), store_.clock()));
}

LeaseInfo Replica::lease_info(const Record& record) const {
  const StoredLease lease = lease_of(&record).value_or(StoredLease());
  return {lease_id(record.key()), lease.ttl, left_until(lease.deadline), lease.name};
}

Answer Replica::read_lease(const ReadLease& read) const {
  const Record* record = store_.find(lease_key(read.id), Space::kLeases);
  if (record == nullptr) return lease_over();
  LeaseFound found{lease_info(*record), {}, complete()};
  const auto attached = store_.terms().attached.find(read.id);
  if (read.keys && attached != store_.terms().attached.end()) {
    for (const Record& term : attached->second) found.keys.emplace_back(term.key());
  }
  return Box(std::move(found));
}

Answer Replica::list_leases(const ListLeases& list) const {
  LeaseList found;
  found.complete = complete();
  size_t bytes = 0;
  const Table& all = store_.items(Space::kLeases);
  for (auto it = all.upper_bound(lease_key(list.after)); it != all.end(); ++it) {
    found.more = found.leases.size() >= list.limit || bytes > limits::kListBytes;
    if (found.more) break;
    found.leases.push_back(lease_info(*it));
    bytes += found.leases.back().name.size() + limits::kListItemBytes;
  }
  return found;
}

Answer Replica::list_access(const ListAccess& list) const {
  Listing found;
  found.complete = complete();
  if (!list.name.empty()) {
    const Record* record = store_.find(access_key(list.kind, list.name), Space::kAccess);
    if (record == nullptr) return no_access(list.kind, list.name);
    found.items.push_back(*record);
    return found;
  }
  size_t bytes = 0;
  const Table& all = store_.items(Space::kAccess);
  for (auto it = all.upper_bound(access_key(list.kind, list.after)); it != all.end() && is_of(*it, list.kind);
       ++it) {
    found.more = found.items.size() >= list.limit || bytes > limits::kListBytes;
    if (found.more) break;
    found.items.push_back(*it);
    bytes += it->value().size() + limits::kListItemBytes;
  }
  return found;
}

// The store is read part by part while writes go on, as for a learner (replica_sending.cpp). What was committed
// since the part before comes first: the reader applies it to what it has by then, and so is at this part's
// revision, too. Any copy will do, also one that is not readable: the digest tells what it was.
Answer Replica::read_snapshot(const ReadSnapshot& read, Revision& at) const {
  const size_t bytes_max = out_.config.tuning.snapshot_chunk_bytes;
  at = read.since.value_or(commit_);
  if (at < log_.base().revision || at > commit_) {
    return Failed{ErrorCode::kOverloaded, Outcome::kNotApplied,
                  "the log does not reach back to the part of the snapshot before: it is read too slowly"};
  }
  SnapshotPart part;
  size_t bytes = 0;
  while (at < commit_ && bytes < bytes_max) {
    at = at.next();
    part.entries.push_back(log_.at(at));
    bytes += entry_bytes(*part.entries.back());
  }
  if (at == commit_) part.items = store_.items_behind(read.space, read.after, bytes_max);
  part.more = at < commit_ || !part.items.empty();
  part.cluster = register_ ? register_->cluster : out_.config.remembered.cluster;
  part.lineage = lineage_;
  part.from = out_.config.self.member;
  part.at = log_.position(at);
  part.digest = store_.digest();
  part.complete = complete();
  part.clock = store_.clock();
  return part;
}

// `at` becomes the revision that the answer reflects.
Answer Replica::read_here(const Operation& operation, Revision& at) {
  if (const auto* snapshot = std::get_if<ReadSnapshot>(&operation)) return read_snapshot(*snapshot, at);
  if (!readable())
    return Failed{ErrorCode::kNotReady, Outcome::kNotApplied, "this server has no copy of the data yet"};
  ++counters_.reads_local;
  return read_now(operation);
}

void Replica::on(Read&& message) {
  if (!message.linear) {
    Revision at = commit_;
    Answer found = read_here(message.operation, at);
    Answered answered{message.token, std::move(found), at, true};
    if (message.by == Read::By::kWatch) return out_.watch.post(std::move(answered));
    if (message.by == Read::By::kTopicReaders) return out_.topic_readers.post(std::move(answered));
    out_.kv_router.post(std::move(answered));
    return;
  }
  if (!leader()) {
    refuse(message.token, ErrorCode::kNoLeader, Outcome::kNotApplied, "this server does not lead");
  } else if (leader()->reads.size() >= out_.config.tuning.client_requests) {
    refuse(message.token, ErrorCode::kOverloaded, Outcome::kNotApplied,
           "too many reads wait for confirmation");
  } else if (auto failed = missing_right(message.caller, message.operation, {})) {
    answer(message.token, std::move(*failed), commit_);
  } else {
    ++counters_.reads_linear;
    leader()->reads.push_back(
        PendingRead{message.token, 0, commit_, std::move(message.operation), std::nullopt, {}});
  }
}

// ---- confirmed reads (rule 11) ----

// A read is answered when every other member of M has confirmed this epoch in reply to a heartbeat that was
// sent after the read arrived. All but one would not do: that one may have taken over, alone, and
// acknowledged a newer write.
bool Replica::round_confirmed(uint64_t round) const {
  int missing = 0;
  for (const Member& member : required()) {
    if (member == out_.config.self.member) continue;
    const Peer* peer = view().peer_of(member);
    if (peer == nullptr || peer->round < round) ++missing;
  }
  return missing <= (mutated(Mutation::kReadsAllButOne) ? 1 : 0);
}

void Replica::serve_reads() {
  if (leader()->reads.empty()) return;
  if (!leader()->active && !mutated(Mutation::kReadsBeforeActivation)) return;
  bool alone = required().size() == 1 || mutated(Mutation::kReadsUnconfirmed);
  uint64_t confirmed = 0;
  while (!leader()->reads.empty()) {
    PendingRead& read = leader()->reads.front();
    if (read.after > commit_) return;
    if (!alone) {
      if (read.round == 0) return;
      if (read.round != confirmed && !round_confirmed(read.round)) return;
      confirmed = read.round;
    }
    Answer result = read.answer ? std::move(*read.answer) : read_now(read.operation);
    // A transaction's results are of where it looked; all else may as well be of any moment since.
    const Revision newest = std::holds_alternative<Box<TxnDone>>(result) ? read.after : commit_;
    answer(read.token, std::move(result), read.revision == Revision(0) ? newest : read.revision);
    leader()->reads.pop_front();
  }
}

}  // namespace kvd
