// The C client's callbacks and the calls that block: see the header. Callbacks run on that library's two
// threads or on whichever thread calls into it; zk_open and zk_close on a thread that zk_client.cpp starts.
// They never touch the client.
#include "shell/zookeeper/zk_bridge.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "base/check.hpp"
#include "base/take_all_stack.hpp"

namespace kvd {
namespace {

constexpr int kQuotaExceeded =
    -125;                      // of servers since 3.7 that enforce quotas; the library has no name for it
constexpr size_t kSlots = 16;  // a server has one client; tests have several

struct Slot {
  bool taken = false;  // the loop's thread only
  TakeAllStack<ZkEvent> events;
  uv_async_t wake{};
};
std::array<Slot, kSlots> slots;

// The library's log callback has no context whatever, so each slot has a callback of its own. It runs on
// three threads: the library's two and whichever of ours calls in.
template <size_t kSlot>
void on_log(const char* text) {
  ZkMailbox::post(kSlot, ZkLibraryLog{text});
}
template <size_t... kSlot>
constexpr std::array<log_callback_fn, kSlots> log_callbacks(std::index_sequence<kSlot...>) {
  return {on_log<kSlot>...};
}
constexpr auto kLogCallbacks = log_callbacks(std::make_index_sequence<kSlots>());
void no_log(const char*) {}

void complete(int code, const void* packed, ZkResult result) {
  const ZkContext context = ZkContext::unpack(packed);
  ZkMailbox::post(context.slot, ZkCompletion{context.generation, context.number, code, std::move(result)});
}

// Of the whole handle: session events only.
void on_session(zhandle_t*, int type, int state, const char*, void* packed) {
  if (type != ZOO_SESSION_EVENT) return;
  const ZkContext context = ZkContext::unpack(packed);
  ZkMailbox::post(context.slot, ZkSessionEvent{context.generation, state});
}

// Asks exactly as the C client will ask, and is null and says why when there is no answer.
using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;
AddressList resolve(const Address& server, std::string& error) {
  addrinfo hints{};
  hints.ai_flags = AI_ADDRCONFIG;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_protocol = IPPROTO_TCP;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(server.port);
  int failed = getaddrinfo(server.host.c_str(), port.c_str(), &hints, &found);
  if (failed == EAI_BADFLAGS || failed == EAI_ADDRFAMILY) {
    hints.ai_flags = 0;
    failed = getaddrinfo(server.host.c_str(), port.c_str(), &hints, &found);
  }
  if (failed != 0)
    error += fmt::format("{}{}: {}", error.empty() ? "" : ", ", server.host, gai_strerror(failed));
  return {failed != 0 ? nullptr : found, freeaddrinfo};
}

// The C client's server list: host:port without brackets around an IPv6 address, since it splits at the last
// colon and with brackets its init fails. Empty, with the reasons, when no host has an address.
//
// After each failure the C client steps over two addresses of its (shuffled) list instead of one
// (ZOOKEEPER-2466). Of an even number it so never tries more than half, for ever: of two servers it may know
// only the one that is dead. So the number is made odd, by one address twice. Names that later resolve to
// more or fewer addresses can undo that.
std::string hosts_of(const std::vector<Address>& servers, std::string& error) {
  std::string hosts;
  std::string spare;
  size_t addresses = 0;
  for (const Address& server : servers) {
    hosts += fmt::format("{}{}:{}", hosts.empty() ? "" : ",", server.host, server.port);
    const AddressList list = resolve(server, error);
    for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
      ++addresses;
      char host[NI_MAXHOST];
      if (getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0) {
        spare = fmt::format(",{}:{}", host, server.port);
      }
    }
  }
  if (addresses == 0) return {};
  return addresses % 2 == 0 ? hosts + spare : hosts;
}

}  // namespace

// ---- ZkContext ----

void* ZkContext::pack() const {
  static_assert(sizeof(void*) == sizeof(uint64_t));
  const uint64_t packed = uint64_t{slot} << 56 | uint64_t{generation & 0xff'ffff} << 32 | number;
  return reinterpret_cast<void*>(packed);  // NOLINT(performance-no-int-to-ptr): never dereferenced
}

ZkContext ZkContext::unpack(const void* packed) {
  const auto bits = reinterpret_cast<uint64_t>(packed);
  return {static_cast<uint8_t>(bits >> 56), static_cast<uint32_t>(bits >> 32) & 0xff'ffff,
          static_cast<uint32_t>(bits)};
}

// ---- ZkMailbox ----

ZkMailbox::ZkMailbox(uv_loop_t* loop, std::function<void(std::vector<ZkEvent>)> on_events)
    : on_events_(std::move(on_events)) {
  const auto slot = std::find_if(slots.begin(), slots.end(), [](const Slot& one) { return !one.taken; });
  CHECK(slot != slots.end());
  slot->taken = true;
  slot_ = static_cast<uint8_t>(slot - slots.begin());
  slot->wake.data = this;
  CHECK(uv_async_init(loop, &slot->wake,
                      [](uv_async_t* wake) { static_cast<ZkMailbox*>(wake->data)->drain(); }) == 0);
}

ZkMailbox::~ZkMailbox() { slots[slot_].wake.data = nullptr; }

void ZkMailbox::post(uint8_t slot, ZkEvent event) {
  if (slots[slot].events.push(std::move(event))) uv_async_send(&slots[slot].wake);
}

void ZkMailbox::drain() {
  if (!closing_) on_events_(slots[slot_].events.take_all());
}

void ZkMailbox::close(std::function<void()> closed) {
  closing_ = true;
  closed_ = std::move(closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&slots[slot_].wake), [](uv_handle_t* wake) {
    auto* self = static_cast<ZkMailbox*>(wake->data);
    Slot& slot = slots[self->slot_];
    slot.events.take_all();  // what nobody wants any more
    slot.taken = false;
    std::exchange(self->closed_, nullptr)();  // may destroy the mailbox
  });
}

// ---- open and close ----

ZkHandleReady zk_open(const std::vector<Address>& servers, int timeout_ms, const std::string& credentials,
                      ZkContext context, bool heard) {
  std::string error;
  const std::string hosts = hosts_of(servers, error);
  if (hosts.empty()) return {context.generation, nullptr, error};
  // WARN: at the default level the library writes many lines a second;
  // at DEBUG it uses a closed handle (4809).
  zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
  errno = 0;
  // No client id: a session belongs to one process. No chroot in `hosts` either: with one, a multi on an
  // invalid path or an expired handle frees a pointer that was never set; the client adds the prefix itself.
  zhandle_t* handle = zookeeper_init2(hosts.c_str(), on_session, timeout_ms, nullptr, context.pack(),
                                      ZOO_NO_LOG_CLIENTENV, heard ? kLogCallbacks[context.slot] : no_log);
  if (handle == nullptr) return {context.generation, nullptr, std::strerror(errno)};
  // By default the library resolves all host names at each turn of its I/O loop,
  // so that a slow name server makes it miss its heartbeats and lose a healthy
  // session (ZOOKEEPER-1998). -1: once, and again for each new connection.
  zoo_set_servers_resolution_delay(handle, -1);
  // ZooKeeper says the same to a wrong password as to a right one: it makes another user of it.
  if (!credentials.empty()) {
    const int code = zoo_add_auth(handle, "digest", credentials.data(), static_cast<int>(credentials.size()),
                                  nullptr, nullptr);
    if (code != ZOK) {
      zookeeper_close(handle);
      return {context.generation, nullptr, zerror(code)};
    }
  }
  return {context.generation, handle, error};
}

// At the same time: each may have to wait for its server.
void zk_close(const std::vector<zhandle_t*>& handles) {
  std::vector<std::thread> closing;
  for (zhandle_t* handle : handles) closing.emplace_back(zookeeper_close, handle);
  for (std::thread& one : closing) one.join();
}

// ---- callbacks ----

// Of one znode. It sees the session's events as well, without being used up by them: those are on_session's.
void zk_on_watch(zhandle_t*, int type, int, const char* path, void* packed) {
  if (type == ZOO_SESSION_EVENT || path == nullptr) return;
  const ZkContext context = ZkContext::unpack(packed);
  ZkMailbox::post(context.slot, ZkNodeEvent{context.generation, path});
}

void zk_on_void(int code, const void* context) { complete(code, context, {}); }

void zk_on_path(int code, const char* path, const struct Stat* stat, const void* context) {
  ZkResult result;
  if (code == ZOK && path != nullptr) result.path = path;
  if (code == ZOK && stat != nullptr) result.stat = zk_stat_of(*stat);
  complete(code, context, std::move(result));
}

void zk_on_sync(int code, const char*, const void* context) { complete(code, context, {}); }

void zk_on_stat(int code, const struct Stat* stat, const void* context) {
  ZkResult result;
  if (code == ZOK && stat != nullptr) result.stat = zk_stat_of(*stat);
  complete(code, context, std::move(result));
}

void zk_on_data(int code, const char* data, int size, const struct Stat* stat, const void* context) {
  ZkResult result;
  if (code == ZOK && data != nullptr && size > 0) result.data.assign(data, static_cast<size_t>(size));
  if (code == ZOK && stat != nullptr) result.stat = zk_stat_of(*stat);
  complete(code, context, std::move(result));
}

void zk_on_names(int code, const struct String_vector* names, const struct Stat* stat, const void* context) {
  ZkResult result;
  if (code == ZOK && names != nullptr) result.children.assign(names->data, names->data + names->count);
  std::sort(result.children.begin(), result.children.end());
  if (code == ZOK && stat != nullptr) result.stat = zk_stat_of(*stat);
  complete(code, context, std::move(result));
}

ZkStat zk_stat_of(const struct Stat& stat) {
  return {.version = stat.version,
          .created_zxid = stat.czxid,
          .modified_zxid = stat.mzxid,
          .created_ms = stat.ctime,
          .modified_ms = stat.mtime,
          .ephemeral_owner = static_cast<uint64_t>(stat.ephemeralOwner),
          .children_version = stat.cversion,
          .children_count = stat.numChildren,
          .data_length = stat.dataLength};
}

// Only what the servers say about the data is certain, and that they turned a call away. Everything else, and
// that is more than ZCONNECTIONLOSS, leaves open whether the call was done: ZOPERATIONTIMEOUT (a create in
// flight when the server stalls; calls queued while disconnected), ZSESSIONEXPIRED, ZSESSIONMOVED, ZCLOSING,
// ZRUNTIMEINCONSISTENCY of a whole multi, ZAUTHFAILED, ZSYSTEMERROR, and whatever is not listed here.
ZkCode zk_code_of(int code) {
  switch (code) {
    case ZOK:
      return ZkCode::kOk;
    case ZNONODE:
      return ZkCode::kNoNode;
    case ZNODEEXISTS:
      return ZkCode::kNodeExists;
    case ZBADVERSION:
      return ZkCode::kBadVersion;
    case ZNOTEMPTY:
      return ZkCode::kNotEmpty;
    case ZNOCHILDRENFOREPHEMERALS:
      return ZkCode::kNoChildrenForEphemerals;
    case ZNOAUTH:
    case kQuotaExceeded:
      return ZkCode::kNoAuth;
    case ZBADARGUMENTS:
    case ZINVALIDACL:
    case ZEPHEMERALONLOCALSESSION:
      return ZkCode::kInvalid;
    case ZNOTREADONLY:
    case ZTHROTTLEDOP:
      return ZkCode::kNotConnected;
    default:
      return ZkCode::kUnknown;
  }
}

}  // namespace kvd
