// Command lines, read by a table. The table says which flags there are; the reader that comes of it says what a value
// may be, so that every complaint has one form: the flag or variable, what it was given, and what to do.
//
// Single dashes (-zookeeper) and underscores (--zookeeper_port) are taken as --zookeeper and --zookeeper-port. Of a
// flag that is given twice the last one counts. An empty value is refused, and one that begins with -- is a value only
// behind a =: an unset variable leaves `--data-dir ''`, `--data-dir=` or, without quotes, `--data-dir --port 8001`.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace kvd {

struct FlagSpec {
  std::string name;   // without --; what is one letter long is typed with one dash, as -0
  const char* value;  // what --help calls it, or what it may be, as on|off; null: a switch, true or false
  std::string help;   // with the default in parentheses
  // Of the environment; it counts where the flag is missing, unless it is empty. Empty: there is none.
  std::string variable{};
  bool may_be_empty = false;
};

struct CommandSpec {
  std::string name;               // as it is typed, as in kvd lock
  std::string usage;              // what follows it
  std::string does;               // a sentence
  std::vector<FlagSpec> flags{};  // besides -h and --help
  std::string notes{};            // what --help says below the flags
  std::string version{};          // what --version prints; empty: there is no such flag
  size_t operands = 0;            // at the most
  bool command = false;           // what stands behind -- is a command of its own
  bool negative = false;          // operands may be negative numbers, as -3, which are no flags then
};

// Why there is nothing to do. With code 0 `text` is what --help or --version print, else one line, and a sysexits code:
// 64 when the command line is to blame, 78 when a variable is.
struct CommandEnd {
  int code = 0;
  std::string text;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// What a command was told. It is read value by value; the first complaint is kept, and what comes after it is moot.
class CommandLine {
 public:
  static Result<CommandLine, CommandEnd> parse(const CommandSpec& spec,
                                               const std::vector<std::string>& arguments,
                                               const Environment& environment = nullptr);

  bool has(const std::string& flag) const { return given_.count(flag) != 0; }
  std::string text(const std::string& flag, const std::string& otherwise) const;
  int64_t number(const std::string& flag, int64_t otherwise, int64_t low, int64_t high);
  double real(const std::string& flag, double otherwise, double low, double high);
  int64_t size(const std::string& flag, int64_t otherwise, int64_t low, int64_t high);  // bytes, with units
  Duration span(const std::string& flag, Duration otherwise, int64_t low_ms, int64_t high_ms);
  // The index of what was chosen of the flag's choices.
  size_t choice(const std::string& flag, const std::string& otherwise);
  bool is_on(const std::string& flag) { return choice(flag, "false") == 0; }
  // Of a flag that may be given more than once: all of them.
  std::vector<std::string> each(const std::string& flag) const;
  // The parts between commas, also empty ones.
  std::vector<std::string> list(const std::string& flag, const std::string& otherwise) const;

  const std::vector<std::string>& operands() const { return operands_; }
  const std::vector<std::string>& command() const { return command_; }

  void complain(const std::string& flag, const std::string& remedy);
  // Of what is no flag's value.
  void complain_of(const std::string& what, const std::string& remedy);
  const std::optional<CommandEnd>& end() const { return end_; }

 private:
  struct Given {
    std::vector<std::string> texts;
    std::string variable;  // empty: it was a flag
  };
  std::map<std::string, std::vector<std::string>> choices_;
  std::map<std::string, Given> given_;
  std::vector<std::string> operands_;
  std::vector<std::string> command_;
  std::optional<CommandEnd> end_;
};

// As it is typed: --name, or -0.
std::string typed_flag(const std::string& name);

// What a value of the flag may be, or begin with: "interval:" of interval:MS. Empty: anything.
std::vector<std::string> choices_of(const FlagSpec& flag);

// Prints it, to standard output or, as a line of the program's, to standard error. Returns the code.
int tell(const CommandEnd& end, const char* program = "kvd");

// For a first word without a second one that makes a command. `family`: the commands that begin with `word`.
CommandEnd end_of_family(const std::string& word, const std::vector<const CommandSpec*>& family,
                         const std::vector<std::string>& arguments);

// What --help prints.
std::string help_of(const CommandSpec& spec);

// A number of bytes: 65536, 64K, 64M or 1G, in powers of 1024.
std::optional<int64_t> parse_size(std::string_view text);

// Of `known`, which is not empty, the one with the fewest letters to change.
std::string nearest(std::string_view name, const std::vector<std::string>& known);

}  // namespace kvd
