// The checks before a request goes to ZooKeeper: see the header. Pure functions of the request; whoever sends
// to ZooKeeper calls them, and nothing here knows what is stored there.
#include "msg/zk_checks.hpp"

#include <algorithm>

#include "base/utf8.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

bool component_valid(std::string_view name) { return !name.empty() && name != "." && name != ".."; }

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// Adds up sizes and validates paths over one operation or all those of a multi.
struct Measure {
  size_t bytes = 0;
  bool valid = true;

  void path(std::string_view path, bool sequential = false) {
    bytes += path.size();
    valid = valid && zk_path_valid(path, sequential);
  }
  void operator()(const ZkCreate& op) {
    path(op.path, zk_is_sequential(op.mode));
    bytes += op.data.size();
  }
  void operator()(const ZkDelete& op) { path(op.path); }
  void operator()(const ZkSet& op) {
    path(op.path);
    bytes += op.data.size();
  }
  void operator()(const ZkCheck& op) { path(op.path); }
  void operator()(const ZkMulti& multi) {
    valid = !multi.ops.empty();
    for (const auto& op : multi.ops) std::visit(*this, op);
  }
  void operator()(const ZkGet& op) { path(op.path); }
  void operator()(const ZkExists& op) { path(op.path); }
  void operator()(const ZkChildren& op) { path(op.path); }
  void operator()(const ZkSync& op) { path(op.path); }
};

}  // namespace

bool zk_path_valid(std::string_view path, bool sequential) {
  if (path.empty() || path.front() != '/' || !is_utf8(path)) return false;
  for (const char c : path) {
    if (is_control(c)) return false;
  }
  if (path == "/") return true;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const bool completed_by_digits = sequential && end == path.size();
    if (!completed_by_digits && !component_valid(path.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

bool zk_request_valid(const ZkRequest& request) {
  Measure measure;
  std::visit([&measure](const auto& op) { measure(op); }, request);
  return measure.valid && measure.bytes <= limits::kZkData;
}

}  // namespace kvd
