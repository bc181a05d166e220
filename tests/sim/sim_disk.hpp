// The disk of one simulated server: what stands in production between the node's loop and the journal's thread. Orders
// gather while a batch is under way, a batch takes its time, answers reach the process that gave the orders while it
// lives. The files outlive the processes, and fail when the nemesis says so. Decides nothing.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "context.hpp"
#include "journal/journal.hpp"
#include "sim_files.hpp"

namespace kvd::sim {

class SimDisk {
 public:
  using Deliver = std::function<void(DiskAnswer)>;

  SimDisk(SimContext& context, Deliver deliver);

  // ---- the process ----
  void start();
  void order(DiskOrder what);
  // It ends in an orderly way, and has time for its last orders.
  void close();
  // It is dead, perhaps in the middle of a batch; with the power went what was not synced.
  void end(bool power);

  // ---- faults ----
  void fail_sync();
  void fill(bool full);                          // hardly any space
  void slow_down(int64_t us) { slow_us_ = us; }  // every batch takes up to so much longer
  void lose_all();                               // of a dead process: another, empty disk
  // Of a dead process: bits of something that a start will miss turn over. False: there is nothing of that kind.
  bool rot();

  // An operator's copy of the directory as it is now, and later in place of a dead process's.
  void copy();
  void put_copy_back();

  bool error_asked() const { return error_asked_; }  // so this life may end because of it

 private:
  void plan_batch();
  void plan_idle();
  void finish_batch();
  void answer(std::vector<DiskAnswer> answers);

  SimContext& context_;
  Deliver deliver_;
  SimFiles files_;
  std::unique_ptr<Journal> journal_;
  uint64_t life_ = 0;
  uint64_t boot_ = 1;
  int64_t slow_us_ = 0;
  bool error_asked_ = false;
  bool busy_ = false;    // `batch_` is under way
  bool marked_ = false;  // the journal had time to note how much is safe
  std::vector<DiskOrder> waiting_;
  std::vector<DiskOrder> batch_;
  std::map<std::string, std::string> copy_;
};

}  // namespace kvd::sim
