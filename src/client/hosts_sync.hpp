// `kvd hosts-sync`: asks for the lines of a hosts file again and again, each time until they have changed, and keeps
// them in a block of a file (hosts_file.hpp, whole_file.hpp). Loop thread only.
#pragma once
#include <memory>
#include <string>

#include "client/http_client.hpp"
#include "client/options.hpp"
#include "client/say.hpp"
#include "client/whole_file.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class HostsSync {
 public:
  HostsSync(net::Loop& loop, HostsSyncOptions options, uint64_t seed);
  HostsSync(const HostsSync&) = delete;
  HostsSync& operator=(const HostsSync&) = delete;

  // Until a signal, or with --once until the file is up to date or cannot be. The exit code: see
  // `kvd hosts-sync --help`.
  int run();
  void on_signal();

 private:
  std::string target() const;
  void ask();
  void on_answer(const Response& answer);
  void on_useless(const std::string& why);
  bool apply();
  void finish(int code);

  net::Loop& loop_;
  HostsSyncOptions options_;
  Say say_;
  WholeFile file_;
  HttpClient client_;
  std::unique_ptr<HttpCall> call_;
  net::Timer ask_again_;
  std::string version_;  // of the block that the file has; empty: none
  std::string block_;    // that of version_
  int code_ = 0;
};

}  // namespace kvd::client
