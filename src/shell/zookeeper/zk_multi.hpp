// One multi on its way through the C client: its operations in that library's form, what the library writes
// to meanwhile, and the translation of what came back. Used by zk_client.cpp only, on the loop's thread.
#pragma once
#include <zookeeper/zookeeper.h>

#include <string>
#include <vector>

#include "msg/zk.hpp"

namespace kvd {

int zk_create_flags(ZkMode mode);
// world:anyone. Debian's library has neither SASL nor TLS: who can reach ZooKeeper is the network's concern.
inline const struct ACL_vector* zk_open_acl() { return &ZOO_OPEN_ACL_UNSAFE; }

// Must stay in place until the completion has run or,
// as completions may never run, until the handle is closed.
class MultiArena {
 public:
  explicit MultiArena(ZkMulti request);  // every path valid
  MultiArena(const MultiArena&) = delete;
  MultiArena& operator=(const MultiArena&) = delete;

  // What zoo_amulti returns. `context` is that of the completion.
  int send(zhandle_t* handle, void_completion_t completion, void* context);
  // After the completion:
  // codes, paths (empty for other operations than creates) and stats (of sets) by `overall`, the multi's code.
  void read(ZkCode overall, ZkResult& result) const;

 private:
  ZkMulti request_;
  std::vector<zoo_op_t> ops_;
  std::vector<zoo_op_result_t> results_;
  std::vector<std::string> names_;  // buffers for the paths that creates make
  std::vector<struct Stat> stats_;
};

}  // namespace kvd
