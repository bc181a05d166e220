// What a standalone server keeps of its znodes on disk: all that are persistent, with their versions and counters. One
// file, of the journal's frames (journal_format.hpp): a head, the znodes as they were when the file was begun, and then
// what changed, a frame for each append(). Blocking, in whatever thread its owner gives it.
//
//   znodes       kZnodes frames, counted from 0. The first: format u32 | how many parts u64. The parts, and every one
//                behind them: transactions, each zxid u64 | how many u32 | znodes: path, whether it is there, content
//   znodes.tmp   not finished, of no use
//
// A frame is written when the one before it is safe. So the last frame may be torn, which nobody was told of; what is
// damaged before another frame is lost.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "core/zookeeper/zk_ensemble.hpp"
#include "journal/files.hpp"

namespace kvd {

class ZnodeLog {
 public:
  explicit ZnodeLog(Files& files) : files_(files) {}  // which outlive it

  struct Found {
    ZkTree tree;
    int64_t zxid = 0;
  };
  // What was kept, and begins the file anew with it, if there is space. The zxid is above all that any earlier life may
  // have told. Once, first.
  Result<Found> open();
  // Safe when this returns. Of an error nothing is known but that it happened.
  FileResult append(std::string_view transactions);
  // False: this life's epoch is not in the file yet, for lack of space at its start; append() does it. Until then no
  // write may be answered.
  bool begun() const { return begun_; }

 private:
  Result<Found> load();
  FileResult begin_anew(const Found& content);

  Files& files_;
  uint64_t size_ = 0;
  uint64_t sequence_ = 0;       // of the next frame
  uint64_t begin_anew_at_ = 0;  // this size
  int64_t zxid_ = 0;            // where this life's epoch begins
  bool begun_ = false;
};

// Adds the newest transaction to `out`, if it changed anything that is kept.
void encode_newest_change(const ZkEnsemble& ensemble, std::string& out);

}  // namespace kvd
