// Command lines, before a library splits them: what it would take for a value, and the user has not meant as one. An
// unset variable leaves `--data-dir ''`, `--data-dir=` or, without quotes, `--data-dir --port 8001`.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvd {

// The first flag (--NAME, or --NAME=VALUE) that has an empty value or none, as one line that names it and the remedy.
// A value that begins with -- is one only behind a =.
std::optional<std::string> missing_value(const std::vector<std::string>& arguments,
                                         const std::function<bool(std::string_view name)>& takes_value);

// A number of bytes: 65536, 64K, 64M or 1G, in powers of 1024.
std::optional<int64_t> parse_size(std::string_view text);

// Of `known`, which is not empty, the one with the fewest letters to change.
std::string nearest(std::string_view name, const std::vector<std::string>& known);

}  // namespace kvd
