// One multi on its way through the C client: its operations in that library's form, what the library writes
// to meanwhile, and the translation of what came back. Used by zk_client.cpp only, on the loop's thread.
#pragma once
#include <zookeeper/zookeeper.h>

#include <string>
#include <type_traits>
#include <vector>

#include "msg/zk.hpp"
#include "shell/zookeeper/zk_acl.hpp"

namespace kvd {

int zk_create_flags(ZkMode mode);
// The znode whose ACL decides whether that may be done: of a create or a delete the parent.
template <class Op>
std::string zk_decided_at(const Op& op) {
  if constexpr (std::is_same_v<Op, ZkCreate> || std::is_same_v<Op, ZkDelete>) {
    const size_t slash = op.path.rfind('/');
    return slash == 0 ? "/" : op.path.substr(0, slash);
  } else {
    return op.path;
  }
}

// Must stay in place until the completion has run or,
// as completions may never run, until the handle is closed.
class MultiArena {
 public:
  MultiArena(ZkMulti request, const ZkAcls& acls);  // every path valid
  MultiArena(const MultiArena&) = delete;
  MultiArena& operator=(const MultiArena&) = delete;

  // What zoo_amulti returns. `context` is that of the completion.
  int send(zhandle_t* handle, void_completion_t completion, void* context);
  // After the completion:
  // codes, paths (empty for other operations than creates) and stats (of sets) by `overall`, the multi's code.
  void read(ZkCode overall, ZkResult& result) const;
  // Where it was decided on that operation.
  std::string decided_at(size_t operation) const;

 private:
  ZkMulti request_;
  std::vector<zoo_op_t> ops_;
  std::vector<zoo_op_result_t> results_;
  std::vector<std::string> names_;  // buffers for the paths that creates make
  std::vector<struct Stat> stats_;
};

}  // namespace kvd
