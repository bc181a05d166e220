// What nearly every file includes, compiled once a target (cpp_pch in the meson.build files). Nothing includes this
// by name, and every file includes what it needs: tests/tidy.py finds those that do not.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
