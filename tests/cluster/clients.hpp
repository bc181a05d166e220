// Clients in threads of their own that work on a few keys through any server while the test breaks things;
// all that they ask and are told is recorded, to be judged at the end.
#pragma once
#include <atomic>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "judge/http_history.hpp"

namespace kvd::testing {

class Clients {
 public:
  Clients(std::vector<Address> servers, int count, uint64_t seed);
  ~Clients() { stop(); }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  HttpHistory& history() { return history_; }
  // From here on other keys: many short histories are easier to judge than few long ones.
  void next_keys() { ++generation_; }
  void stop();  // ends the threads
  // Reads all keys through all servers, `read=linear`, as part of the history. Once stopped. Empty: done;
  // else which one was not answered within `limit`.
  std::string read_back(Duration limit);

 private:
  struct Client;
  void run(int number, uint64_t seed);
  HttpOperation draw(Client& client);
  const std::vector<Address> servers_;
  HttpHistory history_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> generation_{1};
  std::atomic<uint64_t> values_{0};
  std::vector<std::thread> threads_;
};

}  // namespace kvd::testing
