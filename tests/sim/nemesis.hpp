// What goes wrong, and when: for each kind of fault that the options ask for, one after another at random
// times, until the world heals. Only plans; the world performs.
#pragma once
#include <vector>

#include "world.hpp"

namespace kvd::sim {

class Nemesis {
 public:
  explicit Nemesis(World& world) : world_(world), context_(world.context()) {}
  void start();

 private:
  enum Fault {
    kBlackout,
    kCrash,
    kPower,
    kStop,
    kPause,
    kJump,
    kPartition,
    kIsolate,
    kReset,
    kHalfOpen,
    kSlow,
    kClog,
    kSwizzle,
    kHold,
    kDeposeAndReturn,
    kTwin,
    kImpostor,
    kZkLoss,
    kZkCut,
    kZkStrand,
    kZkDown,
    kPowerAll,
    kDiskError,
    kRot,
    kLostDisk,
    kDiskFull,
    kDiskSlow,
    kFaults
  };

  int64_t mean_us(Fault fault) const;
  void plan(Fault fault);
  void inject(Fault fault);
  void inject_at_disk(Fault fault, int server);
  void partition();
  void isolate(int server);
  void slow();
  void clog();
  void swizzle();
  void hold();
  struct Deposed {
    int first;                     // leads again at the end
    std::vector<int> interrupted;  // whose own links stand still
    Instant until;
  };
  void depose_and_return();
  void depose_again(Deposed deposed);
  // Does it once the fault has lasted; not when the faults end before, since the world sees to that.
  void undo_after(Duration span, EventQueue::Action undo);
  int victim();
  int any_server() {
    return static_cast<int>(context_.prng.below(static_cast<uint64_t>(context_.options.servers)));
  }
  Duration lasting() { return context_.up_to(context_.options.fault_us_max) + milliseconds(1); }
  Duration away();

  World& world_;
  SimContext& context_;
};

}  // namespace kvd::sim
