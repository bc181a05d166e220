// Translation of multis for the C client: see the header. Pointers into an arena's own members are handed to
// the library, which is why an arena is neither copied nor moved.
#include "shell/zookeeper/zk_multi.hpp"

#include <utility>

#include "base/check.hpp"
#include "shell/zookeeper/zk_bridge.hpp"

namespace kvd {
namespace {

struct OpBuilder {
  zoo_op_t* op;
  std::string& name;
  struct Stat* stat;
  const ZkAcls& acls;

  void operator()(const ZkCreate& create) {
    name.resize(create.path.size() + 16);  // ten digits and the final zero
    zoo_create_op_init(op, create.path.c_str(), create.data.data(), static_cast<int>(create.data.size()),
                       acls.of(create.path), zk_create_flags(create.mode), name.data(),
                       static_cast<int>(name.size()));
  }
  void operator()(const ZkDelete& deletion) {
    zoo_delete_op_init(op, deletion.path.c_str(), deletion.version);
  }
  void operator()(const ZkSet& set) {
    zoo_set_op_init(op, set.path.c_str(), set.data.data(), static_cast<int>(set.data.size()), set.version,
                    stat);
  }
  void operator()(const ZkCheck& check) { zoo_check_op_init(op, check.path.c_str(), check.version); }
};

}  // namespace

int zk_create_flags(ZkMode mode) {
  switch (mode) {
    case ZkMode::kPersistent:
      return ZOO_PERSISTENT;
    case ZkMode::kPersistentSequential:
      return ZOO_PERSISTENT_SEQUENTIAL;
    case ZkMode::kEphemeral:
      return ZOO_EPHEMERAL;
    case ZkMode::kEphemeralSequential:
      return ZOO_EPHEMERAL_SEQUENTIAL;
  }
  CHECK(false);
}

MultiArena::MultiArena(ZkMulti request, const ZkAcls& acls)
    : request_(std::move(request)),
      ops_(request_.ops.size()),
      results_(request_.ops.size()),
      names_(request_.ops.size()),
      stats_(request_.ops.size()) {
  for (size_t i = 0; i < ops_.size(); ++i) {
    std::visit(OpBuilder{&ops_[i], names_[i], &stats_[i], acls}, request_.ops[i]);
  }
}

int MultiArena::send(zhandle_t* handle, void_completion_t completion, void* context) {
  return zoo_amulti(handle, static_cast<int>(ops_.size()), ops_.data(), results_.data(), completion, context);
}

// Creates come without a stat: zoo_amulti does not know the form that answers with one.
//
// In a multi that failed the operations before the guilty one report success and those behind it a "runtime
// inconsistency"; none of them was done.
void MultiArena::read(ZkCode overall, ZkResult& result) const {
  if (overall == ZkCode::kUnknown || overall == ZkCode::kInvalid || overall == ZkCode::kNotConnected) return;
  const bool done = overall == ZkCode::kOk;
  for (size_t i = 0; i < results_.size(); ++i) {
    const int code = results_[i].err;
    const bool blameless = code == ZOK || code == ZRUNTIMEINCONSISTENCY;
    const bool created = done && std::holds_alternative<ZkCreate>(request_.ops[i]);
    result.codes.push_back(!done && blameless ? ZkCode::kRolledBack : zk_code_of(code));
    result.paths.push_back(created ? names_[i].c_str() : "");
    const bool set = done && std::holds_alternative<ZkSet>(request_.ops[i]);
    result.stats.push_back(set ? zk_stat_of(stats_[i]) : ZkStat{});
  }
}

std::string MultiArena::decided_at(size_t operation) const {
  return std::visit([](const auto& op) { return zk_decided_at(op); }, request_.ops[operation]);
}

}  // namespace kvd
