// See judge.hpp.
#include "core/access/judge.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/check.hpp"
#include "base/percent.hpp"

namespace kvd {
namespace {

struct Denied {
  Resource resource = Resource::kKv;
  Right right = Right::kRead;
  std::string path;  // a key or the like, or the prefix that was asked for
};

std::string explain(const Denied& denied, std::string_view user) {
  std::string text =
      std::string(user) + " may not " + right_name(denied.right) + " " + resource_name(denied.resource);
  if (has_paths(denied.resource)) text += " '" + percent_encode(denied.path) + "'";
  return text;
}

// None: sessions, which are no resource.
std::optional<Resource> resource_of(Collection collection) {
  switch (collection) {
    case Collection::kSessions:
      return std::nullopt;
    case Collection::kLocks:
      return Resource::kLocks;
    case Collection::kElections:
      return Resource::kElections;
    case Collection::kBarriers:
      return Resource::kBarriers;
    case Collection::kIds:
      return Resource::kIds;
    case Collection::kNames:
    case Collection::kHosts:
      return Resource::kNames;
    case Collection::kTasks:
      return Resource::kTasks;
    case Collection::kWorkers:
      return Resource::kWorkers;
    case Collection::kZnodes:
      return Resource::kZnodes;
    case Collection::kZkQueues:
      return Resource::kZkQueues;
  }
  CHECK(false);
}

bool allows(const Rule& rule, Resource resource, Right right) {
  return rule.resource == resource && (right == Right::kRead ? rule.read : rule.write);
}

Right right_of_verb(Verb verb) { return verb == Verb::kGet ? Right::kRead : Right::kWrite; }

// The rights that each thing needs. There is no operator() for everything: what is not listed does not compile.
class Needs {
 public:
  explicit Needs(const AccessTable::User& user) : user_(user) {}
  std::optional<Denied> take() { return std::move(denied_); }

  // ---- keys ----
  void operator()(const ReadKey& m) { read(Resource::kKv, m.key); }
  void operator()(const ListKeys& m) { read(Resource::kKv, m.prefix); }
  void operator()(const PutKey& m) {
    write(Resource::kKv, m.key);
    lives(m.term);
  }
  void operator()(const DeleteKey& m) { write(Resource::kKv, m.key); }
  void operator()(const DeletePrefix& m) { write(Resource::kKv, m.prefix); }
  void operator()(const AppendBytes& m) { write(Resource::kKv, m.key); }
  void operator()(const TouchKey& m) {
    write(Resource::kKv, m.key);
    lives(m.term);
  }
  void operator()(const AddNumber& m) {  // which tells the sum
    write(Resource::kKv, m.key);
    read(Resource::kKv, m.key);
  }
  void operator()(const WriteBatch& m) {
    if (m.ops.empty()) somewhere(Resource::kKv, Right::kWrite);
    for (const BatchOp& op : m.ops) {
      write(Resource::kKv, op.key);
      lives(op.term);
    }
    for (const Fence& fence : m.fences) write(Resource::kFences, fence.resource);
  }
  void operator()(const Box<Transaction>& m) {
    if (m->conditions.empty() && m->then_ops.empty() && m->else_ops.empty()) of_anything();
    for (const TxnCondition& condition : m->conditions) need(condition);
    for (const auto* branch : {&m->then_ops, &m->else_ops}) {
      for (const TxnOp& op : *branch) need(op);
    }
  }

  // ---- leases ----
  void operator()(const GrantLease&) { write(Resource::kLeases); }
  void operator()(const TakeLease&) { write(Resource::kLeases); }
  void operator()(const RenewLeases&) { write(Resource::kLeases); }
  void operator()(const EndLease&) { write(Resource::kLeases); }
  void operator()(const ReadLease& m) {
    read(Resource::kLeases);
    if (m.keys) read(Resource::kKv);  // which may be any
  }
  void operator()(const ListLeases&) { read(Resource::kLeases); }
  void operator()(const HoldLease&) { write(Resource::kLeases); }

  // ---- queues and topics ----
  void operator()(const Box<MakeQueue>& m) {
    write(Resource::kQueues, m->name);
    buries_in(m->config.dead_letter);
  }
  void operator()(const DeleteQueue& m) { write(Resource::kQueues, m.name); }
  void operator()(const Box<SendMessages>& m) { write(Resource::kQueues, m->queue); }
  void operator()(const Box<ReceiveMessages>& m) { source(Right::kWrite, m->queue, m->subscription); }
  void operator()(const Box<SettleMessages>& m) { source(Right::kWrite, m->queue, m->subscription); }
  void operator()(const ConsumeQueue& m) { source(Right::kWrite, m.queue, m.subscription); }
  void operator()(const KickMessages& m) {
    source(Right::kWrite, m.queue, m.subscription);
    buries_in(m.to);
  }
  void operator()(const PurgeMessages& m) { write(Resource::kQueues, m.queue); }
  void operator()(const ReadQueue& m) { read(Resource::kQueues, m.name); }
  void operator()(const ListQueues& m) { read(Resource::kQueues, m.prefix); }
  void operator()(const PeekMessages& m) { source(Right::kRead, m.queue, m.subscription); }
  void operator()(const PeekMessage& m) { source(Right::kRead, m.queue, m.subscription); }
  void operator()(const Box<MakeTopic>& m) { write(Resource::kTopics, m->name); }
  void operator()(const DeleteTopic& m) { write(Resource::kTopics, m.name); }
  void operator()(const Box<PublishMessages>& m) { write(Resource::kTopics, m->topic); }
  void operator()(const Box<MakeSubscription>& m) {
    write(Resource::kTopics, m->topic);
    buries_in(m->config.dead_letter);
  }
  void operator()(const DeleteSubscription& m) { write(Resource::kTopics, m.topic); }
  void operator()(const SeekSubscription& m) { write(Resource::kTopics, m.topic); }
  void operator()(const ReadTopic& m) { read(Resource::kTopics, m.name); }
  void operator()(const ListTopics& m) { read(Resource::kTopics, m.prefix); }
  void operator()(const ReadSubscription& m) { read(Resource::kTopics, m.topic); }
  void operator()(const ListSubscriptions& m) { read(Resource::kTopics, m.topic); }
  void operator()(const PageTopic& m) { read(Resource::kTopics, m.topic); }
  void operator()(const Box<FollowTopic>& m) { (*this)(m->page); }

  // ---- the cluster ----
  void operator()(const ChangeSettings&) { write(Resource::kCluster); }
  void operator()(const MoveLeader&) { write(Resource::kCluster); }
  void operator()(const DecideLineage&) { write(Resource::kCluster); }
  void operator()(const DropFence&) { write(Resource::kCluster); }
  void operator()(const ReadSnapshot&) { read(Resource::kSnapshot); }
  void operator()(const QueryStatus& m) {
    if (m.use == QueryStatus::Use::kCluster) read(Resource::kCluster);
    if (m.use == QueryStatus::Use::kMetrics) read(Resource::kMetrics);
  }
  void operator()(const Box<PutPolicy>&) { write(Resource::kAuth); }
  void operator()(const Box<PutUser>&) { write(Resource::kAuth); }
  void operator()(const Box<CreateToken>&) { write(Resource::kAuth); }
  void operator()(const Box<ReplaceAccess>&) { write(Resource::kAuth); }
  void operator()(const DeleteAccess&) { write(Resource::kAuth); }
  void operator()(const ListAccess&) { read(Resource::kAuth); }

  // ---- whole calls ----
  void of_store(const Operation& operation, const OptionalBox<Fence>& fence) {
    std::visit([this](const auto& m) { (*this)(m); }, operation);
    if (fence) write(Resource::kFences, fence->resource);
  }
  void operator()(const StoreCall& m) { of_store(m.operation, m.fence); }
  void operator()(const Box<WatchCall>& m) { read(Resource::kKv, m->filter.key); }
  void operator()(const Box<PollCall>& m) {
    read(Resource::kKv, m->filter.key);
    (*this)(m->read);
  }
  void operator()(const ServiceCall& m) {
    const std::optional<Resource> resource = resource_of(m.collection);
    resource ? need(*resource, right_of_verb(m.verb), m.path) : of_services();  // a session is its user's own
  }
  void need(Resource resource, Right right, std::string_view path) {
    if (!denied_ && !grants(user_, resource, right, path))
      denied_ = Denied{resource, right, std::string(path)};
  }

 private:
  void read(Resource resource, std::string_view path = {}) { need(resource, Right::kRead, path); }
  void write(Resource resource, std::string_view path = {}) { need(resource, Right::kWrite, path); }
  void source(Right right, std::string_view queue, std::string_view subscription) {
    need(subscription.empty() ? Resource::kQueues : Resource::kTopics, right, queue);
  }
  void lives(const Term& term) {  // a lease has room for so many keys, and ends them
    if (term.kind == Term::Kind::kLease) write(Resource::kLeases);
  }
  void buries_in(std::string_view queue) {
    if (!queue.empty()) write(Resource::kQueues, queue);
  }
  void need(const TxnCondition& condition) {
    if (condition.of == TxnCondition::Of::kLease) return read(Resource::kLeases);
    if (condition.of == TxnCondition::Of::kReceipt)
      return source(Right::kRead, condition.key, condition.subscription);
    read(Resource::kKv, condition.key);
  }
  void need(const TxnOp& op) {
    switch (op.kind) {
      case TxnOp::Kind::kGet:
        return read(Resource::kKv, op.key);
      case TxnOp::Kind::kAdd:
        read(Resource::kKv, op.key);
        return write(Resource::kKv, op.key);
      case TxnOp::Kind::kPut:
      case TxnOp::Kind::kTouch:
        lives(op.term);
        return write(Resource::kKv, op.key);
      case TxnOp::Kind::kDelete:
      case TxnOp::Kind::kAppend:
        return write(Resource::kKv, op.key);
      case TxnOp::Kind::kAck:
        return source(Right::kWrite, op.key, op.subscription);
      case TxnOp::Kind::kSend:
        return write(Resource::kQueues, op.key);
      case TxnOp::Kind::kPublish:
        return write(Resource::kTopics, op.key);
    }
    CHECK(false);
  }

  bool any_rule(Resource resource, Right right) const {
    const auto fits = [&](const Rule& rule) { return allows(rule, resource, right); };
    return user_.root || std::any_of(user_.policies.begin(), user_.policies.end(), [&](const auto& policy) {
             return std::any_of(policy->rules.begin(), policy->rules.end(), fits);
           });
  }
  // What it is about is not known yet.
  void somewhere(Resource resource, Right right) {
    if (!denied_ && !any_rule(resource, right)) denied_ = Denied{resource, right, ""};
  }
  void of_anything() {  // of what a transaction may be about
    for (const Resource resource : {Resource::kKv, Resource::kQueues, Resource::kTopics, Resource::kLeases}) {
      if (any_rule(resource, Right::kRead) || any_rule(resource, Right::kWrite)) return;
    }
    if (!denied_) denied_ = Denied{Resource::kKv, Right::kWrite, ""};
  }
  void of_services() {
    for (auto i = static_cast<size_t>(Resource::kLocks); i <= static_cast<size_t>(Resource::kZkQueues); ++i) {
      if (any_rule(static_cast<Resource>(i), Right::kWrite)) return;
    }
    if (!denied_) denied_ = Denied{Resource::kLocks, Right::kWrite, ""};
  }

  const AccessTable::User& user_;
  std::optional<Denied> denied_;
};

template <class What>
std::optional<Failed> judged(const Subject& subject, const What& what) {
  const AccessTable::User* user = subject.table.find(subject.name());
  if (user == nullptr || (subject.caller != nullptr && !subject.table.shows(*subject.caller, subject.now_ms)))
    return Failed{ErrorCode::kUnauthenticated, Outcome::kNotApplied, "nobody is known by what is shown"};
  Needs needs(*user);
  what(needs);
  const std::optional<Denied> denied = needs.take();
  if (!denied) return std::nullopt;
  const bool nobody = user->name == kAnonymous;
  return Failed{nobody ? ErrorCode::kUnauthenticated : ErrorCode::kForbidden, Outcome::kNotApplied,
                explain(*denied, user->name)};
}

}  // namespace

bool grants(const AccessTable::User& user, Resource resource, Right right, std::string_view path) {
  if (user.root) return true;
  for (const auto& policy : user.policies) {
    for (const Rule& rule : policy->rules) {
      if (allows(rule, resource, right) && path.starts_with(rule.prefix)) return true;
    }
  }
  return false;
}

std::optional<Failed> missing_right(const Subject& subject, const Call& call) {
  return judged(subject, [&](Needs& needs) { std::visit([&](const auto& m) { needs(m); }, call.what); });
}

std::optional<Failed> missing_right(const Subject& subject, const Operation& operation,
                                    const OptionalBox<Fence>& fence) {
  return judged(subject, [&](Needs& needs) { needs.of_store(operation, fence); });
}

std::optional<Failed> missing_right(const Subject& subject, Resource resource, Right right) {
  return judged(subject, [&](Needs& needs) { needs.need(resource, right, ""); });
}

bool keeps_rights(std::string_view name, const AccessTable& before, const AccessTable& now) {
  if (name == kRoot) return true;
  const AccessTable::User* former = before.find(name);
  const AccessTable::User* present = now.find(name);
  if (former == nullptr || present == nullptr || former->number != present->number) return false;
  const auto lives_on = [&](const Rule& rule) {
    return (!rule.read || grants(*present, rule.resource, Right::kRead, rule.prefix)) &&
           (!rule.write || grants(*present, rule.resource, Right::kWrite, rule.prefix));
  };
  return std::all_of(former->policies.begin(), former->policies.end(), [&](const auto& policy) {
    return std::all_of(policy->rules.begin(), policy->rules.end(), lives_on);
  });
}

bool concerns_access(const Call& call) {
  const auto* store = std::get_if<StoreCall>(&call.what);
  return store != nullptr &&
         (is_access_write(store->operation) || std::holds_alternative<ListAccess>(store->operation));
}

}  // namespace kvd
