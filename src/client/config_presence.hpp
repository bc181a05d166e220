// What a node lets others know: that it lives, by a lease, and what it runs, by a record, a key that names the lease
// and stays when the lease is over. The node renews the lease itself, and no server does it for the connection: so the
// lease of a process that stands still ends, too. Loop thread only.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/config_record.hpp"
#include "client/http_client.hpp"
#include "client/say.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class ConfigPresence {
 public:
  // Takes a lease in a later turn, and another one when that is over. `client` outlives it. `on_refused`: a server
  // refuses access, and nothing more is told; it may call end().
  ConfigPresence(net::Loop& loop, HttpClient& client, const std::string& prefix, const std::string& node,
                 std::function<void(const std::string& why)> on_refused);

  // The newest one counts, and is written as soon as there is a lease. Lease and time are filled in.
  void tell(const ConfigRecord& record);
  // What the record was at a revision of the store: `json`, or empty when it was not there.
  void on_seen(uint64_t revision, const std::string& json);
  // Ends the lease, and calls `on_done`, also when no server answers in time. Nothing is told any more.
  void end(std::function<void()> on_done);

 private:
  void grant();
  void on_granted(const Response& answer);
  void renew();
  void on_renewed(const Response& answer);
  void write();
  void on_written(const Response& answer);
  void finish();
  HttpEvents answered(std::unique_ptr<HttpCall>& call, void (ConfigPresence::*by)(const Response&));

  HttpClient& client_;
  std::string record_path_;  // of the record, percent-encoded
  std::string lease_name_;
  std::function<void(const std::string&)> on_refused_;
  Say say_;
  uint64_t lease_ = 0;  // 0: none
  std::optional<ConfigRecord> record_;
  std::string wanted_;        // record_ as it was given
  bool told_ = true;          // record_ is what was sent last
  uint64_t written_at_ = 0;   // the store's revision of the last one; 0: none
  std::string seen_;          // the last record of on_seen()
  uint64_t other_lease_ = 0;  // of another process that has written this record
  net::Timer renew_;
  net::Timer write_again_;
  net::Timer goodbye_;
  std::unique_ptr<HttpCall> lease_call_;
  std::unique_ptr<HttpCall> write_call_;
  std::function<void()> on_done_;
};

}  // namespace kvd::client
