// A watch stream of a prefix, with its state, into a ConfigMirror, from whichever server: where one ends, or says for
// some seconds that it does not hear the leader, another one is asked, and tells the state anew. So nothing has to be
// resumed, and a server whose history is another one cannot be mistaken. Loop thread only.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/time.hpp"
#include "client/config_mirror.hpp"
#include "client/http_client.hpp"
#include "net/loop.hpp"

namespace kvd::client {

struct ConfigStreamEvents {
  // Lines have come: once for all that came together.
  std::function<void()> on_news;
  // No server takes such a request, each of them in a row, or one refuses access: the stream is over.
  std::function<void(const std::string& why)> on_refused;
  // No server tells what is newest: once until one does.
  std::function<void(const std::string& why)> on_all_away;
};

class ConfigStream {
 public:
  // Begins in a later turn. `client`, which knows so many `servers`, outlives it. `progress`: how often a server asks
  // the leader whether there is more; one that says nothing for three times as long, or 3 s, is left. Whoever is told
  // of a refusal may destroy it.
  ConfigStream(net::Loop& loop, HttpClient& client, const std::string& prefix, size_t servers,
               Duration progress, ConfigStreamEvents events);

  const ConfigMirror& mirror() const { return mirror_; }

 private:
  void on_answer(const Response& answer);
  void on_head(const Response& head);
  void on_line(const std::string& text);
  void try_on(const std::string& why);
  void note_failure(const std::string& why);

  ConfigMirror mirror_;
  size_t servers_;
  ConfigStreamEvents events_;
  size_t failures_ = 0;       // in a row
  std::set<size_t> refused_;  // the servers that have refused in a row
  net::NextTurn news_;
  net::Timer stale_;
  std::unique_ptr<HttpCall> call_;
};

}  // namespace kvd::client
