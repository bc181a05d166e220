// See config_sync.hpp.
#include "client/config_sync.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <utility>

#include "base/command_line.hpp"

namespace kvd::client {
namespace {

constexpr Duration kDirectoryPause = seconds(2);
constexpr Duration kSyncProgress = seconds(2);

}  // namespace

ConfigSync::ConfigSync(net::Loop& loop, ConfigSyncOptions options, uint64_t seed)
    : loop_(loop),
      options_(std::move(options)),
      client_(loop.get(), options_.servers, seed),
      publish_again_(loop.get(), [this] {
        taken_.reset();
        on_news();
      }) {}

int ConfigSync::run() {
  auto directory = ConfigDirectory::open(options_.to);
  if (!directory) return kvd::tell(directory.error());
  directory_ = std::move(*directory);
  ConfigStreamEvents events;
  events.on_news = [this] { on_news(); };
  events.on_refused = [this](const std::string& why) { on_refused(why); };
  events.on_all_away = [this](const std::string& why) {
    say_.line(fmt::format("no server tells the newest configuration ({}): {} stays as it is; trying on", why,
                          options_.to));
  };
  stream_ = std::make_unique<ConfigStream>(loop_, client_, options_.prefix, options_.servers.size(),
                                           kSyncProgress, std::move(events));
  presence_ = std::make_unique<ConfigPresence>(loop_, client_, options_.prefix, options_.node,
                                               [this](const std::string& why) { on_refused(why); });
  if (const auto& published = directory_->published()) {
    floor_ = published->at;
    if (published->exit != EX_OK) run_command();  // it has failed, or not ended
  }
  tell();
  loop_.run();
  return code_;
}

// ---- what the servers tell ----

void ConfigSync::on_news() {
  if (stopping_) return;
  const ConfigMirror& mirror = stream_->mirror();
  if (!mirror.is_whole()) return;
  if (may_publish() && taken_ != mirror.changes()) {
    taken_ = mirror.changes();
    publish();
  }
  const auto own = mirror.records().find(options_.node);
  presence_->on_seen(mirror.revision(), own == mirror.records().end() ? "" : own->second);
}

// What this node had, it has: a server that lags, or has lost its leader, takes nothing of it back. Where the leader
// itself confirms that the store is behind it, the servers have lost what came after.
bool ConfigSync::may_publish() {
  const ConfigMirror& mirror = stream_->mirror();
  if (mirror.is_stale()) return false;
  if (mirror.revision() < floor_) {
    if (!mirror.confirmed() || *mirror.confirmed() >= floor_) return false;
    say_.line(fmt::format("the servers have gone back from revision {} to {}: going on with what they have",
                          floor_, mirror.revision()));
  }
  floor_ = mirror.revision();
  return true;
}

void ConfigSync::publish() {
  const ConfigSet& set = stream_->mirror().set();
  problem_ = problem_of_paths(set, options_.prefix);
  if (problem_.empty()) {
    const auto changed = directory_->publish(set, name_of(set), floor_, running_in_);
    if (!changed) {
      problem_ = changed.error().detail;
      publish_again_.start(kDirectoryPause);
    } else if (*changed) {
      run_command();
    }
  }
  problem_.empty() ? say_.forget() : say_.once(problem_ + ": nothing is published until it is mended");
  tell();
}

// ---- the command ----

void ConfigSync::run_command() {
  if (options_.exec.empty() || stopping_) return;
  run_again_ = child_ != nullptr;
  if (run_again_) return;
  const PublishedConfig& published = *directory_->published();
  running_in_ = published.path;
  const std::vector<std::string> command = {"/bin/sh", "-c", options_.exec};
  ChildOptions child;
  child.command = command;
  child.environment = {{"KVD_CONFIG_REVISION", std::to_string(published.name.revision)},
                       {"KVD_CONFIG_DIR", published.path}};
  child_ = std::make_unique<Child>(loop_.get(), std::move(child),
                                   [this](const ChildEnd& end) { on_command_end(end); });
  const int error = child_->start();
  if (error == 0) return;
  const CommandEnd failure = start_failure(command, error);
  say_.line(failure.text);
  ChildEnd end;
  end.status = failure.code;
  on_command_end(end);
}

void ConfigSync::on_command_end(const ChildEnd& end) {
  child_.reset();
  const bool of_former = std::exchange(running_in_, "") != directory_->published()->path;
  if (stopping_) return leave();
  if (end.code() != EX_OK) say_.line(fmt::format("the command ended with {}", end.code()));
  if (!of_former) directory_->note_exit(end.code());
  if (std::exchange(run_again_, false)) run_command();
  tell();
}

// ---- what others are told ----

void ConfigSync::tell() {
  using Told = ConfigRecord::State;
  if (presence_ == nullptr || stopping_) return;
  ConfigRecord record;
  record.problem = problem_;
  const auto& published = directory_->published();
  if (published) record.config = published->name;
  if (published && child_ == nullptr && !options_.exec.empty()) record.exit = published->exit;
  const bool applied = published && child_ == nullptr;
  const bool failed = !problem_.empty() || record.exit.value_or(EX_OK) != EX_OK;
  record.state = failed ? Told::kFailed : applied ? Told::kRunning : Told::kApplying;
  presence_->tell(record);
}

// ---- the end ----

void ConfigSync::on_refused(const std::string& why) {
  if (stopping_) return;
  say_.line(why);
  stop(EX_DATAERR);
}

void ConfigSync::stop(int code) {
  if (std::exchange(stopping_, true)) return;
  code_ = code;
  publish_again_.stop();
  stream_.reset();
  child_ != nullptr ? child_->stop() : leave();
}

void ConfigSync::leave() {
  presence_->end([this] { loop_.stop(); });
}

}  // namespace kvd::client
