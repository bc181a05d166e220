// See recovery.hpp.
#include "core/replica/recovery.hpp"

#include <algorithm>
#include <utility>

namespace kvd {
namespace {

constexpr int kExitConfiguration = 78;
constexpr Duration kEmptyRetry = seconds(1);
constexpr uint64_t kFirstSnapshot = 1;

}  // namespace

void Recovery::start() { out_.emit(DiskOrder(DiskRead{})); }

void Recovery::on(DiskAnswer answer) {
  if (auto* found = std::get_if<DiskFound>(&answer)) on_found(*found);
  if (auto* part = std::get_if<DiskPart>(&answer)) on_part(*part);
  if (auto* opened = std::get_if<DiskOpened>(&answer)) on_opened(*opened);
  if (auto* kept = std::get_if<DiskKept>(&answer)) kept_ = kept->facts == found_.facts;
  if (auto* written = std::get_if<DiskSnapshotDone>(&answer)) {
    emptied_ = written->done;
    if (!emptied_) empty_again_at_ = out_.now + kEmptyRetry;
  }
  if (phase_ == Phase::kKeeping && kept_ && (emptied_ || !begins_empty_)) phase_ = Phase::kDone;
}

// A server without ZooKeeper begins an epoch whenever it starts: with the directory of a cluster's member that would
// be a history of its own under the cluster's name.
bool Recovery::refuse(const DiskFacts& facts) {
  if (facts.cluster.empty() || facts.standalone == out_.config.standalone) return false;
  const std::string out =
      "; 'kvd export DIR FILE' takes the data out, and PUT /v1/snapshot takes it into an empty ";
  out_.emit(Exit{kExitConfiguration,
                 facts.standalone ? "the data directory is that of a --standalone server, and no cluster's" +
                                        out + "cluster"
                                  : "the data directory belongs to the cluster " + facts.cluster +
                                        ", and is not for --standalone" + out + "server"});
  return true;
}

void Recovery::on_found(DiskFound& found) {
  snapshot_ = std::move(found);
  if (refuse(snapshot_.facts)) return;
  found_.facts = snapshot_.facts;
  replay_.begin(snapshot_);
  progress_.begin(snapshot_.bytes);
  out_.emit(DiskOrder(DiskRead{}));
}

void Recovery::on_part(DiskPart& part) {
  replay_.take(part, out_.config.tuning.retained_entries);
  progress_.reach(part.bytes);
  out_.emit(DiskOrder(DiskRead{}));
}

// A new lineage had begun here, and the crash came before what belongs to it was in place: until then nothing is called
// safe in it. So nothing of it is missing, and this server is still who it was.
bool Recovery::former_lineage() const { return holds_former_lineage(snapshot_); }

void Recovery::on_opened(const DiskOpened& opened) {
  replay_.finish();
  const bool sound = replay_.wrong().empty();
  const ServerId& self = out_.config.self.member.id;
  const Member& former = snapshot_.facts.self;
  if (!former.id.value.empty() && former.id != self) {
    out_.emit(Exit{kExitConfiguration, "the data directory belongs to the server " + former.id.value +
                                           ", not " + self.value +
                                           ": give that --id, or another --data-dir"});
    return;
  }
  progress_.end();
  const bool disowned = former.incarnation == Incarnation(0);  // or never anybody's
  const bool usable = opened.usable && sound && !disowned;
  bool same = opened.intact && usable && !found_.facts.differs;
  begins_empty_ = !usable || former_lineage();
  bool something_was_here = !former.id.value.empty() || !opened.why.empty();
  if (!same && something_was_here && begins_empty_ && out_.config.standalone) {
    if (!out_.config.force_new_lineage) {
      out_.emit(
          Exit{kExitConfiguration,
               "the data directory cannot be used, and a --standalone server has no others to take the data "
               "from: restore it, or begin with nothing by --force-new-lineage"});
      return;
    }
    found_.facts.lineage = found_.facts.lineage.next();  // no revision is used twice
  }
  if (!same && something_was_here) {
    std::string why = !opened.why.empty()    ? opened.why
                      : disowned             ? "it was given up"
                      : found_.facts.differs ? "this copy had contradicted a leader's: it is kept"
                                             : "its snapshot and log do not fit together";
    out_.log(LogLevel::kError, "the data directory may lack acknowledged writes: this server joins anew",
             {{"why", why}, {"usable", usable ? "yes" : "no"}});
  }
  found_.facts.self = same ? former : out_.config.self.member;
  found_.facts.epoch = std::max(found_.facts.epoch, found_.log.last().epoch);
  bool as_it_was = same && !begins_empty_;
  phase_ = as_it_was ? Phase::kDone : Phase::kKeeping;
  found_.snapshot_number = kFirstSnapshot;
  if (!as_it_was) keep();
  out_.log(LogLevel::kInfo, "has read its data directory",
           {{"revision", std::to_string(found_.commit.value)},
            {"log_end", std::to_string(found_.log.last().revision.value)},
            {"keys", std::to_string(found_.store.size())},
            {"identity", same ? "kept" : "new"}});
}

// What is of no use is disowned before the empty generation is in place: a crash after that would else leave nothing
// under the name of who had something. And the new name comes last: a crash before it brings nothing back.
void Recovery::keep() {
  const Member& former = snapshot_.facts.self;
  if (begins_empty_ && !former.id.value.empty() && former != found_.facts.self) {
    DiskFacts disowned = found_.facts;
    disowned.self.incarnation = Incarnation(0);
    out_.emit(DiskOrder(DiskKeep{std::move(disowned)}));
  }
  if (begins_empty_) {
    begin_empty();
    found_.facts.differs = false;
  }
  out_.emit(DiskOrder(DiskKeep{found_.facts}));
}

// A generation that holds nothing, in place of whatever is there.
void Recovery::begin_empty() {
  LogPosition base{Epoch(0), lineage_base(found_.facts.lineage)};
  found_.store.clear();
  found_.log.reset(base);
  found_.commit = base.revision;
  found_.log_bytes = 0;
  out_.emit(DiskOrder(DiskSnapshotBegin{kFirstSnapshot, base, true}));
  out_.emit(DiskOrder(DiskSnapshotEnd{kFirstSnapshot, base.revision, 0}));
}

void Recovery::on_time() {
  if (empty_again_at_ > out_.now) return;
  empty_again_at_ = kNever;
  out_.log(LogLevel::kWarn, "no space to begin with: tries again", {});
  begin_empty();
}

Instant Recovery::deadline() const { return empty_again_at_; }

}  // namespace kvd
