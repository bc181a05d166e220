// See completion.hpp.
#include "base/completion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace kvd {
namespace {

// "lock" of "kvd lock", "lease show" of "kvd lease show".
std::string subcommand(const CommandSpec& spec) { return spec.name.substr(spec.name.find(' ') + 1); }

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

// The last words of the subcommands that begin with `before`: "lease " for the actions of "kvd lease".
std::string names(const std::vector<CommandSpec>& specs, const std::string& before,
                  const std::string& typed) {
  std::string all;
  for (auto spec = specs.begin() + 1; spec != specs.end(); ++spec) {
    const std::string name = subcommand(*spec);
    if (name.starts_with(before) && name.find(' ', before.size()) == std::string::npos)
      all += line_of(name.substr(before.size()), typed, spec->does);
  }
  return all;
}

}  // namespace

std::string complete(const std::vector<CommandSpec>& specs, const std::vector<std::string>& words) {
  const std::string typed = words.empty() ? "" : words.back();
  const size_t last = words.empty() ? 0 : words.size() - 1;
  const auto find = [&specs](const std::string& name) {
    return std::find_if(specs.begin() + 1, specs.end(),
                        [&name](const CommandSpec& spec) { return subcommand(spec) == name; });
  };
  auto found = last == 0 ? specs.end() : find(words.front());
  size_t begin = found == specs.end() ? 0 : 1;
  if (const auto action = last < 2 ? specs.end() : find(words[0] + " " + words[1]); action != specs.end()) {
    found = action;
    begin = 2;
  }
  const CommandSpec& spec = found == specs.end() ? specs.front() : *found;
  size_t given = 0;
  for (size_t i = begin; i < last; ++i) {
    const FlagSpec* flag = flag_in(spec, words[i]);
    if (words[i] == "--") return spec.command ? fmt::format(":command {}\n", i + 2) : ":none\n";
    if (flag != nullptr && flag->value != nullptr && ++i == last) return values(*flag, "", typed);
    if (!words[i].starts_with("-") && flag == nullptr) ++given;
  }
  if (typed.starts_with("-")) return flags(spec, typed);
  if (last == 0) return names(specs, "", typed) + ":none\n";
  return (last == 1 ? names(specs, words.front() + " ", typed) : "") + operands(spec, given, typed);
}

}  // namespace kvd
