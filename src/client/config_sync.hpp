// `kvd config sync`: keeps a directory as the keys below a prefix are (config_stream.hpp, config_directory.hpp), runs a
// command after each change, and lets others know what it runs (config_presence.hpp). Loop thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "client/child.hpp"
#include "client/config_directory.hpp"
#include "client/config_options.hpp"
#include "client/config_presence.hpp"
#include "client/config_stream.hpp"
#include "client/http_client.hpp"
#include "client/say.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class ConfigSync {
 public:
  ConfigSync(net::Loop& loop, ConfigSyncOptions options, uint64_t seed);
  ConfigSync(const ConfigSync&) = delete;
  ConfigSync& operator=(const ConfigSync&) = delete;

  int run();  // the exit code: see `kvd config sync --help`
  void on_signal() { stop(0); }

 private:
  void on_news();
  bool may_publish();
  void publish();
  void run_command();
  void on_command_end(const ChildEnd& end);
  void tell();
  void on_refused(const std::string& why);
  void stop(int code);
  void leave();

  net::Loop& loop_;
  ConfigSyncOptions options_;
  HttpClient client_;
  Say say_;
  std::unique_ptr<ConfigDirectory> directory_;
  std::unique_ptr<ConfigStream> stream_;
  std::unique_ptr<ConfigPresence> presence_;
  std::unique_ptr<Child> child_;
  std::string running_in_;         // the version that child_ was started for
  bool run_again_ = false;         // another one was published meanwhile
  std::string problem_;            // why the newest configuration is not published
  uint64_t floor_ = 0;             // nothing older than this revision of the store is published
  std::optional<uint64_t> taken_;  // the mirror's changes() that were looked at
  net::Timer publish_again_;       // after the directory could not be written
  bool stopping_ = false;
  int code_ = 0;
};

}  // namespace kvd::client
