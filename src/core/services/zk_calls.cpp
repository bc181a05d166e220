// See zk_calls.hpp.
#include "core/services/zk_calls.hpp"

#include <memory>
#include <utility>
#include <variant>

namespace kvd {

void ZkCalls::call(ZkRequest request, Then then) {
  const ZkCallId id = service_call_id(owner_, ++counter_);
  pending_.emplace(id, std::move(then));
  out_.zk_call_window.add(ZkCall{id, std::move(request)});
}

void ZkCalls::watch(ZkRequest request, WatchThen then) {
  const ZkCallId id = service_call_id(owner_, counter_ + 1);  // that it will have
  const bool children = std::holds_alternative<ZkChildren>(request);
  const bool also_of_nothing = std::holds_alternative<ZkExists>(request);
  const auto kind = children ? WatchBudget::Kind::kChildren : WatchBudget::Kind::kData;
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

// All at once: ZooKeeper performs a client's calls in their order. What counts is whether the last one is there; if
// what is above it is not, then the reason for that. (Where an ACL forbids to make something it is refused also when it
// is there, so a refusal above says nothing by itself.)
void ZkCalls::make_path(const std::string& path, std::function<void(ZkCode)> then) {
  const auto above = std::make_shared<ZkCode>(ZkCode::kNoNode);
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    call(ZkCreate{path.substr(0, end), "", ZkMode::kPersistent}, [above](const ZkResult& result) {
      const bool there = result.code == ZkCode::kOk || result.code == ZkCode::kNodeExists;
      if (!there && result.code != ZkCode::kNoNode) *above = result.code;
    });
  }
  call(ZkCreate{path, "", ZkMode::kPersistent}, [above, then = std::move(then)](const ZkResult& result) {
    ZkCode code = result.code;
    if (code == ZkCode::kNodeExists) code = ZkCode::kOk;
    if (code == ZkCode::kNoNode) code = *above;
    then(code);
  });
}

}  // namespace kvd
