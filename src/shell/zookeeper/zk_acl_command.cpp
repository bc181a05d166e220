// See zk_acl_command.hpp.
#include "shell/zookeeper/zk_acl_command.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sysexits.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "msg/znodes.hpp"
#include "shell/flags.hpp"
#include "shell/zookeeper/zk_acl.hpp"
#include "shell/zookeeper/zk_session.hpp"

namespace kvd {
namespace {

constexpr Duration kSessionTimeout = seconds(10);
constexpr int kSomethingOpen = 1;

constexpr char kApplyNotes[] =
    R"(Of each znode at and below /kvd and /election it allows everything to the user in FILE, and to all others
to read. What is so already stays as it is. Restart each server with --zookeeper-auth-file FILE first: a
server without it can neither register nor lead from then on. So nothing is changed while one is registered
that was started without it, or with another user or password. The znodes of the services are not touched.

Exit codes: 0 all are protected; 64 the command line; 66 there is nothing of kvd's; 69 ZooKeeper cannot be
reached, or did not answer; 75 a server has to be restarted first, or an ACL was changed meanwhile; 77 an
ACL does not allow it; 78 FILE, or a value of a variable.)";

constexpr char kShowNotes[] =
    R"(A line for each znode at and below /kvd and /election: "open" when everybody may change it, "protected" when
only the user in FILE may, "foreign" when others may and that user may not, or has another password; without
FILE "protected" for both. Behind it the path, and who may do what: c creates and d deletes children,
r reads, w writes, a sets ACLs.

Exit codes: 0 none is open; 1 some are; 64 the command line; 66 there is nothing of kvd's; 69 ZooKeeper
cannot be reached, or did not answer; 78 FILE, or a value of a variable.)";

// Why it goes no further.
struct End {
  int code = 0;
  std::string line;
};

struct Znode {
  std::string path;  // without the prefix
  ZkProtection protection = ZkProtection::kForeign;
  std::string acl;
  int32_t acl_version = 0;
  bool ephemeral = false;
};

const char* word_of(ZkProtection protection, bool known) {
  switch (protection) {
    case ZkProtection::kOpen:
      return "open";
    case ZkProtection::kProtected:
      return "protected";
    case ZkProtection::kForeign:
      break;
  }
  return known ? "foreign" : "protected";
}

class AclCommand {
 public:
  explicit AclCommand(ZkOptions options) : options_(options), session_(std::move(options)) {}

  int apply() { return end_with(try_to_apply()); }
  int show() { return end_with(try_to_show()); }

 private:
  std::optional<End> look();
  std::optional<End> look_at(const std::string& path);
  std::optional<End> look_below(const std::string& path);
  std::optional<End> judge() const;
  std::optional<End> protect(const Znode& znode);
  std::optional<End> try_to_apply();
  std::optional<End> try_to_show();

  std::string whole(const std::string& path) const { return options_.prefix + path; }
  End unanswered(int code) const {
    return {EX_UNAVAILABLE, fmt::format("ZooKeeper did not answer: {}", zerror(code))};
  }
  static int end_with(const std::optional<End>& end) {
    if (!end) return EX_OK;
    if (!end->line.empty()) fmt::print(stderr, "kvd: {}\n", end->line);
    return end->code;
  }

  ZkOptions options_;
  ZkSession session_;
  std::vector<Znode> znodes_;  // parents first
};

std::optional<End> AclCommand::look() {
  if (const std::optional<Error> error = session_.connect()) {
    std::string servers;
    for (const Address& server : options_.servers)
      servers += (servers.empty() ? "" : ",") + format_address(server);
    return End{EX_UNAVAILABLE, fmt::format("--zookeeper {}: {}", servers, error->detail)};
  }
  for (const char* root : {kRootPath, kElectionPath}) {
    if (std::optional<End> end = look_at(root)) return end;
  }
  if (znodes_.empty())
    return End{EX_NOINPUT,
               fmt::format("there is no {} in ZooKeeper: look at --zookeeper and the prefix in it; a new "
                           "cluster needs nothing but its servers with --zookeeper-auth-file",
                           whole(kRootPath))};
  return std::nullopt;
}

std::optional<End> AclCommand::look_at(const std::string& path) {
  struct ACL_vector acl {};
  struct Stat stat {};
  const int code = session_.insist(
      [&](zhandle_t* handle) { return zoo_get_acl(handle, whole(path).c_str(), &acl, &stat); });
  if (code == ZNONODE) return std::nullopt;
  if (code == ZNOAUTH) {  // it may not even be read
    znodes_.push_back({path, ZkProtection::kForeign, "its ACL may not be read", 0, false});
    return std::nullopt;
  }
  if (code != ZOK) return unanswered(code);
  znodes_.push_back({path, zk_protection(acl, options_.auth.user()), zk_acl_text(acl), stat.aversion,
                     stat.ephemeralOwner != 0});
  deallocate_ACL_vector(&acl);
  return look_below(path);
}

std::optional<End> AclCommand::look_below(const std::string& path) {
  struct String_vector names {};
  const int code = session_.insist(
      [&](zhandle_t* handle) { return zoo_get_children(handle, whole(path).c_str(), 0, &names); });
  if (code == ZNONODE || code == ZNOAUTH) return std::nullopt;
  if (code != ZOK) return unanswered(code);
  std::vector<std::string> children(names.data, names.data + names.count);
  deallocate_String_vector(&names);
  std::sort(children.begin(), children.end());
  for (const std::string& child : children) {
    if (std::optional<End> end = look_at(path + "/" + child)) return end;
  }
  return std::nullopt;
}

// Nothing is changed if a server would be shut out by it: one that has registered itself otherwise. Other ephemeral
// ones that are foreign go with their session.
std::optional<End> AclCommand::judge() const {
  const std::string members = std::string(kMembersPath) + "/";
  std::string servers;
  for (const Znode& znode : znodes_) {
    if (znode.protection == ZkProtection::kForeign && !znode.ephemeral)
      return End{
          EX_NOPERM,
          fmt::format("the user and password in {} may not do what kvd has to at {} ({}): give the file "
                      "that this znode was protected with; nothing was changed",
                      options_.auth.file, whole(znode.path), znode.acl)};
    if (znode.protection != ZkProtection::kProtected && znode.path.starts_with(members))
      servers += (servers.empty() ? "" : ", ") + znode.path.substr(members.size());
  }
  if (servers.empty()) return std::nullopt;
  return End{
      EX_TEMPFAIL,
      fmt::format("not registered with the user and password in {}: {}. Restart what is named here with "
                  "--zookeeper-auth-file, then run this again; nothing was changed",
                  options_.auth.file, servers)};
}

std::optional<End> AclCommand::protect(const Znode& znode) {
  const std::string path = whole(znode.path);
  const int code = session_.insist([&](zhandle_t* handle) {
    return zoo_set_acl(handle, path.c_str(), znode.acl_version, zk_protected_acl());
  });
  if (code == ZNONODE) return std::nullopt;  // an ephemeral one that has gone
  if (code == ZNOAUTH)
    return End{EX_NOPERM, fmt::format("the ACL of {} ({}) does not allow to change it", path, znode.acl)};
  if (code == ZBADVERSION)
    return End{EX_TEMPFAIL, fmt::format("the ACL of {} was changed meanwhile: run this again", path)};
  if (code != ZOK) return unanswered(code);
  fmt::print("protected {}\n", path);
  return std::nullopt;
}

std::optional<End> AclCommand::try_to_apply() {
  std::optional<End> end = look();
  if (!end) end = judge();
  if (end) return end;
  size_t changed = 0;
  size_t already = 0;
  for (const Znode& znode : znodes_) {
    if (znode.protection == ZkProtection::kProtected) ++already;
    if (znode.protection != ZkProtection::kOpen) continue;
    if ((end = protect(znode))) return end;
    ++changed;
  }
  fmt::print("{} protected now, {} were already\n", changed, already);
  return std::nullopt;
}

std::optional<End> AclCommand::try_to_show() {
  if (std::optional<End> end = look()) return end;
  bool open = false;
  for (const Znode& znode : znodes_) {
    fmt::print("{:9} {} {}\n", word_of(znode.protection, !options_.auth.file.empty()), whole(znode.path),
               znode.acl);
    open |= znode.protection == ZkProtection::kOpen;
  }
  return open ? std::optional(End{kSomethingOpen, ""}) : std::nullopt;
}

}  // namespace

std::vector<CommandSpec> zk_acl_specs() {
  std::vector<CommandSpec> specs = {
      {"kvd zookeeper-acl apply", "--zookeeper SERVERS --zookeeper-auth-file FILE",
       "Lets nobody but the servers change the cluster's own znodes in ZooKeeper."},
      {"kvd zookeeper-acl show", "--zookeeper SERVERS [--zookeeper-auth-file FILE]",
       "Shows who may change the cluster's own znodes in ZooKeeper."}};
  for (CommandSpec& spec : specs) spec.flags = zookeeper_flags();
  specs.front().notes = kApplyNotes;
  specs.back().notes = kShowNotes;
  return specs;
}

int run_zk_acl(const std::vector<std::string>& arguments, const Environment& environment) {
  const std::vector<CommandSpec> specs = zk_acl_specs();
  const std::string action = arguments.empty() ? "" : arguments.front();
  const bool applies = action == "apply";
  if (!applies && action != "show")
    return tell(end_of_family("zookeeper-acl", {&specs.front(), &specs.back()}, arguments));
  auto line = CommandLine::parse(applies ? specs.front() : specs.back(),
                                 {arguments.begin() + 1, arguments.end()}, environment);
  if (!line) return tell(line.error());
  ZkOptions options;
  options.session_timeout = kSessionTimeout;
  read_zookeeper(*line, options);
  if (applies && !line->has("zookeeper-auth-file"))
    line->complain("zookeeper-auth-file", "give the file that the servers have");
  if (line->end()) return tell(*line->end());
  if (!options.auth.file.empty()) {
    if (const std::optional<Error> error = read_zk_auth(options.auth))
      return tell(CommandEnd{EX_CONFIG, error->detail});
  }
  ::signal(SIGPIPE, SIG_IGN);
  AclCommand command(std::move(options));
  return applies ? command.apply() : command.show();
}

}  // namespace kvd
