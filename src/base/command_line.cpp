// See command_line.hpp.
#include "base/command_line.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <numeric>
#include <utility>

namespace kvd {
namespace {

constexpr std::string_view kDashes = "--";
constexpr size_t kHelpColumn = 30;
constexpr size_t kHelpWidth = 110;

// -zookeeper and --zookeeper_port become --zookeeper and --zookeeper-port; -h, -5 and what follows '=' stay.
std::string normalised(const std::string& argument) {
  const size_t dashes = argument.find_first_not_of('-');
  if (dashes == std::string::npos || dashes == 0 || dashes > 2) return argument;
  if (std::isalpha(static_cast<unsigned char>(argument[dashes])) == 0) return argument;
  const size_t end = std::min(argument.find('='), argument.size());
  std::string name = argument.substr(dashes, end - dashes);
  if (dashes == 1 && name.size() == 1) return argument;
  std::replace(name.begin(), name.end(), '_', '-');
  return std::string(kDashes) + name + argument.substr(end);
}

size_t letters_to_change(std::string_view a, std::string_view b) {  // Levenshtein's distance
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({changed, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

const FlagSpec* find(const CommandSpec& spec, std::string_view typed) {
  const auto same = [typed](const FlagSpec& flag) { return typed_flag(flag.name) == typed; };
  const auto found = std::find_if(spec.flags.begin(), spec.flags.end(), same);
  return found == spec.flags.end() ? nullptr : &*found;
}

bool is_operand(const CommandSpec& spec, const std::string& argument) {
  if (argument.empty() || argument == "-" || argument.front() != '-') return true;
  return spec.negative && std::isdigit(static_cast<unsigned char>(argument[1])) != 0;
}

Failure<CommandEnd> usage(const CommandSpec& spec, const std::string& what, const std::string& complaint) {
  return Failure<CommandEnd>(
      CommandEnd{EX_USAGE, fmt::format("{}: {} ({} --help lists the flags)", what, complaint, spec.name)});
}

Failure<CommandEnd> no_such_flag(const CommandSpec& spec, const std::string& flag) {
  std::vector<std::string> known{"--help"};
  for (const FlagSpec& other : spec.flags) known.push_back(typed_flag(other.name));
  const std::string other = nearest(flag, known);
  const bool meant = 2 * letters_to_change(flag, other) < flag.size();
  return usage(spec, flag, "there is no such flag" + (meant ? "; the nearest is " + other : ""));
}

template <class Number>
std::optional<Number> number_of(const std::string& text, Number low, Number high) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || !(number >= low && number <= high)) return std::nullopt;
  return number;
}

std::string quoted_if_empty(const std::string& text) { return text.empty() ? "''" : text; }

// `text` behind `column` spaces, its words in lines that are not too long.
std::string wrapped(std::string_view text, size_t column) {
  std::string all;
  while (column + text.size() > kHelpWidth) {
    const size_t space = text.rfind(' ', kHelpWidth - column);
    if (space == std::string_view::npos || space == 0) break;
    all.append(text.substr(0, space)).append("\n").append(column, ' ');
    text.remove_prefix(space + 1);
  }
  return all.append(text).append("\n");
}

std::string help_line(std::string start, std::string_view help) {
  start.insert(0, "  ");
  if (start.size() + 2 > kHelpColumn) start.append("\n").append(kHelpColumn, ' ');
  if (start.size() < kHelpColumn) start.resize(kHelpColumn, ' ');
  return start + wrapped(help, kHelpColumn);
}

}  // namespace

std::string typed_flag(const std::string& name) {
  return std::string(name.size() == 1 ? "-" : kDashes) + name;
}

std::vector<std::string> choices_of(const FlagSpec& flag) {
  const std::string_view value = flag.value == nullptr ? "true|false" : flag.value;
  std::vector<std::string> choices;
  if (value.find('|') == std::string_view::npos) return choices;
  for (size_t at = 0; at <= value.size();) {
    const size_t end = std::min(value.find('|', at), value.size());
    size_t fixed = end;
    while (fixed > at && std::isupper(static_cast<unsigned char>(value[fixed - 1])) != 0) --fixed;
    choices.emplace_back(value.substr(at, fixed - at));
    at = end + 1;
  }
  return choices;
}

int tell(const CommandEnd& end, const char* program) {
  end.code == 0 ? fmt::print("{}", end.text) : fmt::print(stderr, "{}: {}\n", program, end.text);
  return end.code;
}

CommandEnd end_of_family(const std::string& word, const std::vector<const CommandSpec*>& family,
                         const std::vector<std::string>& arguments) {
  std::vector<std::string> names;
  std::string help;
  for (const CommandSpec* spec : family) {
    names.push_back(spec->name);
    help += fmt::format("{} {}\n  {}\n", spec->name, spec->usage, spec->does);
  }
  const std::string given = arguments.empty() ? "" : arguments.front();
  if (given == "--help" || given == "-h") return {0, help + "Each of them says more with --help.\n"};
  return {EX_USAGE, fmt::format("{}{}{}: there is no such command; there are {}", word,
                                given.empty() ? "" : " ", given, fmt::join(names, ", "))};
}

std::string help_of(const CommandSpec& spec) {
  std::string help = wrapped(spec.does, 0) + wrapped("Usage: " + spec.name + " " + spec.usage, 0) +
                     "\nOptions:\n" + help_line("-h,--help", "print this and exit");
  if (!spec.version.empty()) help += help_line("--version", "print the version and exit");
  for (const FlagSpec& flag : spec.flags)
    help += help_line(typed_flag(flag.name) + (flag.value != nullptr ? std::string(" ") + flag.value : ""),
                      flag.help);
  if (!spec.notes.empty()) help += "\n" + spec.notes + "\n";
  return help;
}

Result<CommandLine, CommandEnd> CommandLine::parse(const CommandSpec& spec,
                                                   const std::vector<std::string>& arguments,
                                                   const Environment& environment) {
  CommandLine line;
  for (const FlagSpec& flag : spec.flags) line.choices_[flag.name] = choices_of(flag);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string argument = normalised(arguments[i]);
    if (argument == kDashes) {
      std::vector<std::string>& rest = spec.command ? line.command_ : line.operands_;
      rest.insert(rest.end(), arguments.begin() + static_cast<ptrdiff_t>(i) + 1, arguments.end());
      break;
    }
    if (argument == "-h" || argument == "--help") return Failure<CommandEnd>(CommandEnd{0, help_of(spec)});
    if (argument == "--version" && !spec.version.empty())
      return Failure<CommandEnd>(CommandEnd{0, spec.version});
    if (is_operand(spec, argument)) {
      line.operands_.push_back(argument);
      continue;
    }
    const size_t end = std::min(argument.find('='), argument.size());
    const std::string name = argument.substr(0, end);
    const FlagSpec* flag = find(spec, name);
    if (flag == nullptr) return no_such_flag(spec, name);
    std::string& text = line.given_[flag->name].texts.emplace_back();
    if (end < argument.size()) {
      text = argument.substr(end + 1);
    } else if (flag->value == nullptr) {
      text = "true";
    } else if (++i == arguments.size() || normalised(arguments[i]).starts_with(kDashes)) {
      return usage(spec, name, "give a value");
    } else {
      text = arguments[i];
    }
    if (text.empty() && !flag->may_be_empty)
      return usage(spec, name, "the value is empty; give one, or leave the flag out");
  }
  if (line.operands_.size() > spec.operands)
    return usage(spec, quoted_if_empty(line.operands_[spec.operands]), "not expected here");
  for (const FlagSpec& flag : spec.flags) {
    if (line.has(flag.name) || flag.variable.empty() || !environment) continue;
    std::optional<std::string> value = environment(flag.variable);
    if (value && !value->empty()) line.given_[flag.name] = Given{{std::move(*value)}, flag.variable};
  }
  return line;
}

std::string CommandLine::text(const std::string& flag, const std::string& otherwise) const {
  const auto found = given_.find(flag);
  return found == given_.end() ? otherwise : found->second.texts.back();
}

int64_t CommandLine::number(const std::string& flag, int64_t otherwise, int64_t low, int64_t high) {
  if (!has(flag)) return otherwise;
  if (const auto number = number_of(text(flag, ""), low, high)) return *number;
  complain(flag, fmt::format("give a whole number from {} to {}", low, high));
  return otherwise;
}

double CommandLine::real(const std::string& flag, double otherwise, double low, double high) {
  if (!has(flag)) return otherwise;
  if (const auto number = number_of(text(flag, ""), low, high)) return *number;
  complain(flag, fmt::format("give a number from {} to {}", low, high));
  return otherwise;
}

int64_t CommandLine::size(const std::string& flag, int64_t otherwise, int64_t low, int64_t high) {
  if (!has(flag)) return otherwise;
  const auto bytes = parse_size(text(flag, ""));
  if (bytes && *bytes >= low && *bytes <= high) return *bytes;
  complain(flag,
           fmt::format("give a whole number of bytes from {} to {}, as in 65536, 64M or 1G", low, high));
  return otherwise;
}

Duration CommandLine::span(const std::string& flag, Duration otherwise, int64_t low_ms, int64_t high_ms) {
  return milliseconds(number(flag, to_ms(otherwise), low_ms, high_ms));
}

size_t CommandLine::choice(const std::string& flag, const std::string& otherwise) {
  const std::vector<std::string>& choices = choices_[flag];
  const auto found = std::find(choices.begin(), choices.end(), text(flag, otherwise));
  if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
  complain(flag, fmt::format("give one of {}", fmt::join(choices, ", ")));
  return 0;
}

std::vector<std::string> CommandLine::each(const std::string& flag) const {
  const auto found = given_.find(flag);
  return found == given_.end() ? std::vector<std::string>{} : found->second.texts;
}

std::vector<std::string> CommandLine::list(const std::string& flag, const std::string& otherwise) const {
  const std::string all = text(flag, otherwise);
  std::vector<std::string> parts;
  for (size_t at = 0; at <= all.size();) {
    const size_t end = std::min(all.find(',', at), all.size());
    parts.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

void CommandLine::complain(const std::string& flag, const std::string& remedy) {
  const auto found = given_.find(flag);
  if (found == given_.end()) return complain_of(typed_flag(flag), remedy);
  const auto& [texts, variable] = found->second;
  if (end_) return;
  if (variable.empty()) return complain_of(typed_flag(flag) + " " + texts.back(), remedy);
  end_ = CommandEnd{EX_CONFIG, fmt::format("{}={}: {}", variable, texts.back(), remedy)};
}

void CommandLine::complain_of(const std::string& what, const std::string& remedy) {
  if (!end_) end_ = CommandEnd{EX_USAGE, fmt::format("{}: {}", what, remedy)};
}

std::optional<int64_t> parse_size(std::string_view text) {
  constexpr std::string_view kUnits = "KMG";
  int shift = 0;
  if (const size_t unit = text.empty() ? text.npos : kUnits.find(text.back()); unit != text.npos) {
    shift = 10 * (static_cast<int>(unit) + 1);
    text.remove_suffix(1);
  }
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const int64_t most = INT64_MAX >> shift;
  if (error != std::errc() || stop != end || number > most || number < -most) return std::nullopt;
  return number * (int64_t{1} << shift);
}

std::string nearest(std::string_view name, const std::vector<std::string>& known) {
  return *std::min_element(known.begin(), known.end(), [name](const auto& a, const auto& b) {
    return letters_to_change(name, a) < letters_to_change(name, b);
  });
}

}  // namespace kvd
