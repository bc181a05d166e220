// Places in a queue of contenders, as ZooKeeper's lock recipe has it and in the layout of kazoo's Lock and Election:
// below a path one ephemeral sequential znode each, {guid}__lock__{ten digits}; the smallest number holds. Whoever
// waits watches the one before it, so that one who leaves wakes one, and its own znode, which others may delete. While
// that watch stands the list of all alone tells that it holds. A place whose creation has an unknown outcome is looked
// for by its guid. (ZooKeeper Recipes, "Locks"; the guid is CURATOR-79's.)
//
// A path has 2^31 numbers. Beyond them ZooKeeper 3.8 gives all the last one and older ones negative ones, which come
// before all others: who gets one of these gives it back, and others' stand where kazoo has them, before all others.
//
// A part of the actor that owns it.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/outbox.hpp"
#include "core/services/adrift.hpp"
#include "core/services/zk_calls.hpp"
#include "msg/services.hpp"

namespace kvd {

using PlaceId = StrongId<struct PlaceIdTag>;

// The children of a queue's path that are places, in their order: kazoo's locks, and the readers and writers of its
// ReadLock and WriteLock.
std::vector<std::string> places_in_order(const std::vector<std::string>& children);

class Contenders {
 public:
  // What becomes of a place, in any order and as often as it changes, never from within join() or leave().
  struct Events {
    std::function<void(PlaceId, int64_t fence)> held;     // the znode's czxid: larger for each later holder
    std::function<void(PlaceId, size_t ahead)> waits;     // behind so many
    std::function<void(PlaceId, std::string why)> lost;   // it is no more, and nobody has to leave it
    std::function<void(PlaceId, ServiceAnswer)> refused;  // likewise: it cannot be had, for good
    // After leave(): the znode is gone (kOk); or it is not, or nobody knows, and it goes as soon as it can.
    std::function<void(PlaceId, ZkCode)> left;
  };
  Contenders(Outbox& out, ZkCalls& zk, Events events)
      : out_(out), zk_(zk), events_(std::move(events)), adrift_(out) {}

  // `path` is absolute; it and what is above it are made when they are missing. `data` is what others see. None: this
  // server watches as much as it may already.
  std::optional<PlaceId> join(std::string path, std::string data);
  // Its znode goes, if not at once then when ZooKeeper is back.
  void leave(PlaceId place);

  void on(const ZkSessionChanged& message);
  void on(const ZkWatchFired& message);
  void on_time();
  Instant deadline() const { return adrift_.deadline(); }

 private:
  enum class Phase : uint8_t {
    kCreating,
    kFinding,  // its creation's outcome is unknown
    kLooking,  // where it stands
    kWaiting,  // for the one before it
    kHolding,
    kAdrift,  // nothing is under way until there is a connection, or for a moment
  };
  struct Place {
    std::string path;
    std::string guid;
    std::string data;
    Phase phase = Phase::kCreating;
    std::string znode;            // its name; empty: not known
    int64_t fence = 0;            // its czxid
    bool own_watched = false;     // its znode is ours, and what happens to it will be heard
    bool first = false;           // when it last looked
    std::string before;           // path of the one before it; empty: not known, or none
    bool before_watched = false;  // that watch stands
    size_t ahead = 0;             // so many when it last looked
    bool leaving = false;
    bool refused = false;    // and nobody is told any more
    bool made_path = false;  // tried once to make what is above it
  };

  void create(PlaceId id);
  void on_created(PlaceId id, const ZkResult& result);
  void there(PlaceId id, std::string znode);
  void find(PlaceId id);
  void on_found(PlaceId id, const ZkResult& result);
  void look(PlaceId id);
  void on_listed(PlaceId id, const ZkResult& result);
  void check_predecessor(PlaceId id);
  void check_own(PlaceId id);
  void look_woken(PlaceId id);
  bool take_own(PlaceId id, const ZkResult& result);
  void hold(PlaceId id);
  void go_on(PlaceId id);
  void remove(PlaceId id);
  void lose(PlaceId id, std::string why);
  void refuse(PlaceId id, ServiceAnswer why);
  bool put_off(PlaceId id, ZkCode code);
  void go_on_adrift();
  std::string new_guid();
  std::vector<PlaceId> all_places() const;
  Place* find_place(PlaceId id);
  void concern(const std::string& path, PlaceId id);
  void concern_no_more(const std::string& path, PlaceId id);
  void forget_before(PlaceId id);
  void forget(PlaceId id);
  std::string znode_path(const Place& place) const { return place.path + "/" + place.znode; }

  Outbox& out_;
  ZkCalls& zk_;
  Events events_;
  uint64_t session_ = 0;  // ZooKeeper's, the last one
  Adrift<PlaceId> adrift_;
  uint64_t counter_ = 0;
  std::map<PlaceId, Place> places_;
  std::multimap<std::string, PlaceId> concerned_;  // by the path of a znode
};

}  // namespace kvd
