// See world.hpp: ZooKeeper's data goes back, or away, or somebody writes there; a server's directory becomes an older
// copy of itself. With everybody there who was in sync all of it has to be settled without a person, and without a
// loss.
#include <fmt/format.h>

#include <algorithm>

#include "msg/znodes.hpp"
#include "world.hpp"

namespace kvd::sim {

// Otherwise a person would have to decide, which nobody does here.
bool World::all_in_sync_are_here() const {
  if (!checkers_.config()) return false;
  const std::vector<Member>& in_sync = checkers_.config()->in_sync;
  return std::all_of(in_sync.begin(), in_sync.end(), [this](const Member& member) {
    const std::vector<int> servers = everyone();
    return std::any_of(servers.begin(), servers.end(), [&](int server) {
      return !leaving_[server] && (durable() ? kept_[server] == member : checkers_.lives(member));
    });
  });
}

void World::turn_zookeeper_back() {
  if (done_ || backups_.empty() || !all_in_sync_are_here() || context_.options.twin_us != 0) return;
  const bool one_changes = std::any_of(processes_.begin(), processes_.end(), [this](const auto& process) {
    return zookeeper_.changes_register(static_cast<int>(&process - processes_.data()));
  });
  // A change that nobody has heard of yet nobody can remember, nor need: nothing was promised under it.
  const std::optional<int> leading = leader();
  const bool settled = context_.queue.now() - register_changed_ >= milliseconds(500);
  // To the leader it is known, and no other change is on its way.
  const auto known = [this](const NodeView& view) {
    std::vector<Member> in_sync = checkers_.config()->in_sync;
    std::sort(in_sync.begin(), in_sync.end());
    return view.active && view.required == in_sync;
  };
  const bool active = leading && is_alive(*leading) && known(processes_[*leading]->node().view());
  // Who knows nothing may begin a cluster in an empty ZooKeeper before those who do are back: a person's affair, too.
  const std::vector<int> servers = everyone();
  const bool heard =
      settled && active && std::all_of(servers.begin(), servers.end(), [this](int server) {
        return is_alive(server) && processes_[server]->node().view().epoch == checkers_.config()->epoch;
      });
  if (one_changes || !heard) {
    context_.queue.after(milliseconds(50), [this] { turn_zookeeper_back(); });
    return;
  }
  const ZkTree& tree = *backups_[context_.prng.below(backups_.size())];
  const bool is_there = zookeeper_.ensemble().tree().contains(kConfigPath);
  note(fmt::format("world: ZooKeeper goes back, kind {}", context_.options.zk_back));
  checkers_.zookeeper_went_back();
  register_zxid_ = 0;  // look at it again, even if it is the one that was there
  if (context_.options.zk_back == 1) {
    zookeeper_.restore_tree(tree);
  } else if (context_.options.zk_back == 2) {
    zookeeper_.restore_tree(ZkTree{{"/", ZkZnode()}});
  } else if (context_.options.zk_back == 3 && is_there) {
    zookeeper_.by_hand(ZkDelete{kConfigPath, -1});
  } else if (is_there) {
    zookeeper_.by_hand(ZkSet{kConfigPath, tree.at(kConfigPath).data, -1});
  }
}

// Once: of a server that is not the only one with everything. Sometimes all stop, and the one with the old directory is
// the first to come back.
bool World::give_old_directory() {
  if (std::exchange(directory_given_, true)) return false;
  std::vector<int> candidates;
  for (int server : everyone()) {
    if (is_alive(server) && others_keep_everything(server)) candidates.push_back(server);
  }
  if (candidates.empty()) return false;
  const int server = candidates[context_.prng.below(candidates.size())];
  note(fmt::format("world: s{}'s directory becomes an older one", server));
  const Duration away = context_.up_to(1'000'000);
  die(server, false, false, away);
  disks_[server]->put_copy_back();
  checkers_.excuse(server);
  // The others have to be back before that one goes on alone: then nobody could know.
  if (!context_.prng.one_in(2) || context_.options.silence_us < 400'000) return true;
  for (int other : everyone()) {
    if (is_alive(other)) die(other, false, false, away + context_.up_to(context_.options.silence_us / 2));
  }
  return true;
}

}  // namespace kvd::sim
