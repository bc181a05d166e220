// See zk_calls.hpp.
#include "core/services/zk_calls.hpp"

#include <utility>
#include <variant>

namespace kvd {

void ZkCalls::call(ZkRequest request, Then then) {
  const ZkCallId id = service_call_id(owner_, ++counter_);
  pending_.emplace(id, std::move(then));
  out_.zk_line.add(ZkCall{id, std::move(request)});
}

void ZkCalls::watch(ZkRequest request, WatchThen then) {
  const ZkCallId id = service_call_id(owner_, counter_ + 1);  // that it will have
  const bool children = std::holds_alternative<ZkChildren>(request);
  const bool also_of_nothing = std::holds_alternative<ZkExists>(request);
  const auto kind = children ? WatchAccount::Kind::kChildren : WatchAccount::Kind::kData;
  bool asked = false;
  std::visit(
      [&](auto& read) {
        if constexpr (requires { read.watch; })
          read.watch = asked = out_.watches.ask(id, read.path, kind, also_of_nothing);
      },
      request);
  call(std::move(request), [asked, also_of_nothing, then = std::move(then)](const ZkResult& result) {
    const bool stands = result.code == ZkCode::kOk || (also_of_nothing && result.code == ZkCode::kNoNode);
    then(result, asked && stands);
  });
}

void ZkCalls::on(const ZkResult& result) {
  const auto it = pending_.find(result.id);
  if (it == pending_.end()) return;
  const Then then = std::move(it->second);
  pending_.erase(it);
  then(result);
}

// All at once: ZooKeeper performs a client's calls in their order. What counts is whether the last one is there.
void ZkCalls::make_path(const std::string& path, std::function<void(ZkCode)> then) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    call(ZkCreate{path.substr(0, end), "", ZkMode::kPersistent}, [](const ZkResult&) {});
  }
  call(ZkCreate{path, "", ZkMode::kPersistent}, [then = std::move(then)](const ZkResult& result) {
    then(result.code == ZkCode::kNodeExists ? ZkCode::kOk : result.code);
  });
}

}  // namespace kvd
