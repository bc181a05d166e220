// CHECK: a broken invariant of our own. Always on; prints the condition, calls the hook, and aborts. Never
// for what comes from outside (a client, a peer, ZooKeeper, a file): that is validated and refused.
#pragma once

namespace kvd {

// Called once before aborting, to print what led there: the simulator's seed, or the tail of the trace. A
// server keeps a trace at --log-level trace only, as its lines cost time with every message; at other levels
// that tail is empty. Null: nothing.
using CheckHook = void (*)();
void set_check_hook(CheckHook hook);

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace kvd

#define CHECK(condition) \
  (static_cast<bool>(condition) ? static_cast<void>(0) : ::kvd::check_failed(#condition, __FILE__, __LINE__))
