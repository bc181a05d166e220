// See completion.hpp.
#include "base/completion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace kvd {
namespace {

// "lock" of "kvd lock"; "config" and "sync" of "kvd config sync".
std::vector<std::string> words_of(const CommandSpec& spec) {
  std::vector<std::string> words;
  for (size_t at = spec.name.find(' '); at != std::string::npos;) {
    const size_t end = spec.name.find(' ', at + 1);
    words.push_back(spec.name.substr(at + 1, end == std::string::npos ? end : end - at - 1));
    at = end;
  }
  return words;
}

// Whether the first `count` words of both are the same.
bool agree(const std::vector<std::string>& words, const std::vector<std::string>& others, size_t count) {
  return words.size() >= count && others.size() >= count &&
         std::equal(words.begin(), words.begin() + static_cast<ptrdiff_t>(count), others.begin());
}

std::string line_of(const std::string& word, const std::string& typed, const std::string& help) {
  return word.starts_with(typed) ? fmt::format("{}\t{}\n", word, help) : "";
}

const FlagSpec* flag_in(const CommandSpec& spec, std::string_view word) {
  const auto same = [word](const FlagSpec& flag) { return typed_flag(flag.name) == word; };
  const auto found = std::find_if(spec.flags.begin(), spec.flags.end(), same);
  return found == spec.flags.end() ? nullptr : &*found;
}

bool names_files(std::string_view value) { return value.starts_with("FILE") || value.starts_with("DIR"); }

// `before` stands in front of each value: "--sync=", or nothing.
std::string values(const FlagSpec& flag, const std::string& before, const std::string& typed) {
  std::string all;
  for (const std::string& choice : choices_of(flag)) all += line_of(before + choice, typed, "");
  const std::string_view value = flag.value == nullptr ? "" : flag.value;
  return all + (value == "DIR" ? ":directories\n" : names_files(value) ? ":files\n" : ":none\n");
}

std::string flags(const CommandSpec& spec, const std::string& typed) {
  const size_t equals = typed.find('=');
  if (equals != std::string::npos) {
    const FlagSpec* flag = flag_in(spec, typed.substr(0, equals));
    return flag == nullptr ? ":none\n" : values(*flag, typed.substr(0, equals + 1), typed);
  }
  std::string all = line_of("--help", typed, "print this and exit");
  if (!spec.version.empty()) all += line_of("--version", typed, "print the version and exit");
  for (const FlagSpec& flag : spec.flags) all += line_of(typed_flag(flag.name), typed, flag.help);
  return all + ":none\n";
}

std::string operands(const CommandSpec& spec, size_t given, const std::string& typed) {
  const bool optional = spec.usage.starts_with('[');
  const std::string_view first = std::string_view(spec.usage).substr(optional ? 1 : 0);
  if (given < spec.operands && names_files(first)) return ":files\n";
  const bool command_is_next = spec.command && given == spec.operands;
  return (command_is_next ? line_of("--", typed, "the command follows") : "") + ":none\n";
}

// The next word of the subcommands that begin with the `last` words before the one that is typed.
std::string subcommands(const std::vector<CommandSpec>& specs, const std::vector<std::string>& words,
                        size_t last) {
  const std::string typed = words.empty() ? "" : words.back();
  std::string all;
  std::string former;
  for (auto other = specs.begin() + 1; other != specs.end(); ++other) {
    const std::vector<std::string> own = words_of(*other);
    if (own.size() <= last || !agree(own, words, last) || std::exchange(former, own[last]) == own[last])
      continue;
    all += line_of(own[last], typed, own.size() == last + 1 ? other->does : "several commands");
  }
  return all;
}

}  // namespace

std::string complete(const std::vector<CommandSpec>& specs, const std::vector<std::string>& words) {
  const std::string typed = words.empty() ? "" : words.back();
  const size_t last = words.empty() ? 0 : words.size() - 1;
  const auto named = [&](const CommandSpec& spec) {
    const size_t size = words_of(spec).size();
    return size <= last && agree(words_of(spec), words, size);
  };
  const auto found = std::find_if(specs.begin() + 1, specs.end(), named);
  // Behind "kvd config" there is --help, and no other flag.
  const auto is_first = [&](const CommandSpec& other) {
    return last > 0 && agree(words_of(other), words, 1);
  };
  const bool half = found == specs.end() && std::any_of(specs.begin() + 1, specs.end(), is_first);
  const CommandSpec no_flags;
  const CommandSpec& spec = found != specs.end() ? *found : half ? no_flags : specs.front();
  if (found == specs.end()) {
    const std::string next = subcommands(specs, words, last);
    if (!next.empty() || (last == 0 && !typed.starts_with("-"))) return next + ":none\n";
  }
  size_t given = 0;
  for (size_t i = found == specs.end() ? 0 : words_of(spec).size(); i < last; ++i) {
    const FlagSpec* flag = flag_in(spec, words[i]);
    if (words[i] == "--") return spec.command ? fmt::format(":command {}\n", i + 2) : ":none\n";
    if (flag != nullptr && flag->value != nullptr && ++i == last) return values(*flag, "", typed);
    if (!words[i].starts_with("-") && flag == nullptr) ++given;
  }
  if (typed.starts_with("-")) return flags(spec, typed);
  return operands(spec, given, typed);
}

}  // namespace kvd
