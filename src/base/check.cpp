// The one place where a broken invariant ends the process. See check.hpp.
#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace kvd {
namespace {
CheckHook g_hook = nullptr;
}

void set_check_hook(CheckHook hook) { g_hook = hook; }

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "kvd: broken invariant: %s (%s:%d)\n", condition, file, line);
  if (g_hook != nullptr) g_hook();
  std::fflush(stderr);
  std::abort();
}

}  // namespace kvd
