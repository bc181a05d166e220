// See zk_calls.hpp.
#include "core/services/zk_calls.hpp"

#include <utility>

namespace kvd {

void ZkCalls::call(ZkRequest request, Then then) {
  const ZkCallId id = service_call_id(owner_, ++counter_);
  pending_.emplace(id, std::move(then));
  out_.zk_line.add(ZkCall{id, std::move(request)});
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
