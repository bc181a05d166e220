// A session with ZooKeeper whose calls wait for their answers, for a command that does nothing else meanwhile. Never
// for a server: such a call has no time limit of its own. One thread.
#pragma once
#include <zookeeper/zookeeper.h>

#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "net/loop.hpp"
#include "shell/zookeeper/zk_bridge.hpp"
#include "shell/zookeeper/zk_client.hpp"

namespace kvd {

class ZkSession {
 public:
  explicit ZkSession(ZkOptions options);
  ~ZkSession();  // ends the session; may take kZkCloseMax
  ZkSession(const ZkSession&) = delete;
  ZkSession& operator=(const ZkSession&) = delete;

  std::optional<Error> connect();  // once; the Error names the servers
  // What `call` returns, a code of the C client's. It is made again while its outcome is unknown, for as long as
  // another server may still answer, so it has to be one that does no harm twice.
  int insist(const std::function<int(zhandle_t*)>& call);

 private:
  ZkOptions options_;
  net::Loop loop_;  // of the mailbox, which the C client's threads write to, and nobody reads
  ZkMailbox mailbox_;
  zhandle_t* handle_ = nullptr;
};

}  // namespace kvd
