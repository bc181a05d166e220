// See network.hpp. No packet filter is needed: every host has a fixed entry for each other one in its table
// of neighbours, and a cut lets that entry point to a link address that nobody has.
#include "cluster/network.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/check.hpp"
#include "rig/child_process.hpp"

namespace kvd::testing {
namespace {

constexpr const char* kBridge = "kvdbridge";
constexpr const char* kNobody = "02:00:00:00:00:ff";

std::string name_of(int host) { return fmt::format("host{}", host + 1); }
std::string outer_link(int host) { return fmt::format("kvdlink{}", host + 1); }
std::string address_of(int host) { return fmt::format("10.213.7.{}", host + 1); }
std::string link_address_of(int host) { return fmt::format("02:00:00:00:00:{:02x}", host + 1); }

bool ip(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "ip");
  ChildProcess process;
  process.start(arguments, "/dev/stderr");
  return process.wait(seconds(60)) == 0;
}

bool in_host(int host, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"-n", name_of(host)});
  return ip(std::move(arguments));
}

bool make_host(int host) {
  return ip({"netns", "add", name_of(host)}) &&
         ip({"link", "add", outer_link(host), "type", "veth", "peer", "name", "eth0", "netns",
             name_of(host)}) &&
         ip({"link", "set", outer_link(host), "master", kBridge, "up"}) &&
         in_host(host, {"link", "set", "eth0", "address", link_address_of(host), "up"}) &&
         in_host(host, {"link", "set", "lo", "up"}) &&
         in_host(host, {"address", "add", address_of(host) + "/24", "dev", "eth0"});
}

// The link first: what is left of connections may keep a namespace alive for a while after its name has gone.
bool remove_host(int host) {
  return ip({"link", "del", outer_link(host)}) && ip({"netns", "del", name_of(host)});
}

}  // namespace

std::string Network::enter() {
  if (geteuid() != 0) return "root, to make network namespaces";
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
    return fmt::format("the right to make network namespaces ({})", strerror(errno));
  // The names of namespaces are files below /run.
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("none", "/run", "tmpfs", 0, nullptr) != 0)
    return fmt::format("the right to mount ({})", strerror(errno));
  if (!ip({"link", "set", "lo", "up"})) return "ip, of the package iproute2";
  if (!ip({"link", "add", kBridge, "type", "bridge"})) return "a kernel with bridges";
  if (!ip({"address", "add", "10.213.7.254/24", "dev", kBridge}) || !ip({"link", "set", kBridge, "up"}))
    return "a bridge with an address";
  const bool hosts = make_host(0) && ip({"netns", "exec", name_of(0), "true"}) && remove_host(0);
  return hosts ? "" : "ip netns, and links of type veth";
}

Network::Network(int hosts) : hosts_(hosts) {
  for (int host = 0; host < hosts; ++host) CHECK(make_host(host));
  heal();
}

Network::~Network() {
  for (int host = 0; host < hosts_; ++host) remove_host(host);
}

Place Network::place(int host) const { return {address_of(host), {"ip", "netns", "exec", name_of(host)}}; }

void Network::point(int from, int to, const std::string& link_address) {
  CHECK(in_host(from, {"neighbour", "replace", address_of(to), "lladdr", link_address, "nud", "permanent",
                       "dev", "eth0"}));
}

void Network::cut(int from, int to) {
  if (cut_.emplace(from, to).second) point(from, to, kNobody);
}

void Network::restore(int from, int to) {
  cut_.erase({from, to});
  point(from, to, link_address_of(to));
}

void Network::heal() {
  for (int from = 0; from < hosts_; ++from) {
    for (int to = 0; to < hosts_; ++to) {
      if (from != to) restore(from, to);
    }
  }
}

}  // namespace kvd::testing
