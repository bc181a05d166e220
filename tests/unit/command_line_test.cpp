// The reader of command lines by itself, with a table of its own: how flags and operands are told apart, what is
// refused and with which words, where a value came from, and the layout of --help.
#include "base/command_line.hpp"

#include <doctest.h>
#include <sysexits.h>

using namespace kvd;

namespace {

CommandSpec spec() {
  CommandSpec spec{"kvd try", "[OPTIONS] FILE", "Tries."};
  spec.flags = {{"size", "SIZE", "how much (1K)", "KVD_SIZE"},
                {"rate", "N", "how fast (1)"},
                {"names", "A,B", "who (none)"},
                {"dry-run", nullptr, "change nothing"}};
  spec.operands = 1;
  return spec;
}

CommandLine good(const std::vector<std::string>& arguments, const CommandSpec& of = spec()) {
  auto line = CommandLine::parse(of, arguments);
  REQUIRE_MESSAGE(line.has_value(), line.error().text);
  return *line;
}

std::string bad(const std::vector<std::string>& arguments, const CommandSpec& of = spec()) {
  const auto line = CommandLine::parse(of, arguments);
  REQUIRE_FALSE(line.has_value());
  CHECK(line.error().code == EX_USAGE);
  CHECK(line.error().text.find('\n') == std::string::npos);
  return line.error().text;
}

}  // namespace

TEST_CASE("flags and operands may be mixed, and -- ends the flags") {
  CHECK(good({"--size", "2K", "file", "--dry-run"}).operands() == std::vector<std::string>{"file"});
  CHECK(good({"--", "--size"}).operands() == std::vector<std::string>{"--size"});
  CHECK(good({"-"}).operands() == std::vector<std::string>{"-"});
  CHECK(good({"-dry_run"}).is_on("dry-run"));
  CHECK_FALSE(good({"--dry-run=false"}).is_on("dry-run"));
  CommandSpec with_command = spec();
  with_command.command = true;
  const CommandLine line = good({"a", "--", "run", "--size", ""}, with_command);
  CHECK(line.operands() == std::vector<std::string>{"a"});
  CHECK(line.command() == std::vector<std::string>{"run", "--size", ""});
}

TEST_CASE("a flag of one letter has one dash, and a negative number may be an operand") {
  CommandSpec short_flag = spec();
  short_flag.flags.push_back({"0", nullptr, "NUL"});
  CHECK(good({"-0"}, short_flag).is_on("0"));
  CHECK(bad({"--0"}, short_flag).starts_with("--0: there is no such flag"));
  CHECK(bad({"-1"}, short_flag).starts_with("-1: there is no such flag"));
  CHECK(help_of(short_flag).find("\n  -0                          NUL\n") != std::string::npos);
  CommandSpec numbers = spec();
  numbers.negative = true;
  CHECK(good({"-5"}, numbers).operands() == std::vector<std::string>{"-5"});
  CHECK(bad({"-x"}, numbers).starts_with("-x: there is no such flag"));
}

TEST_CASE("what is not in the table is refused, with what may have been meant") {
  CHECK(bad({"--siz", "2"}) ==
        "--siz: there is no such flag; the nearest is --size (kvd try --help lists the flags)");
  CHECK(bad({"--colour"}) == "--colour: there is no such flag (kvd try --help lists the flags)");
  CHECK(bad({"-x"}).starts_with("-x: there is no such flag"));
  CHECK(bad({"-5"}).starts_with("-5: there is no such flag"));
  CHECK(bad({"--version"}).starts_with("--version: there is no such flag"));
  CHECK(bad({"a", "b"}).starts_with("b: not expected here"));
  CHECK(bad({"a", ""}).starts_with("'': not expected here"));
}

TEST_CASE("values: the first complaint is kept, and names where the value came from") {
  CommandLine line = good({"--size", "2X", "--rate=fast"});
  CHECK(line.size("size", 7, 1, 1 << 20) == 7);
  CHECK(line.real("rate", 0.5, 0.25, 10) == 0.5);
  REQUIRE(line.end());
  CHECK(line.end()->text ==
        "--size 2X: give a whole number of bytes from 1 to 1048576, as in 65536, 64M or 1G");

  const Environment environment = [](const std::string& name) -> std::optional<std::string> {
    return name == "KVD_SIZE" ? std::optional<std::string>("9G") : std::nullopt;
  };
  auto from_variable = CommandLine::parse(spec(), {}, environment);
  REQUIRE(from_variable);
  from_variable->size("size", 7, 1, 1 << 20);
  REQUIRE(from_variable->end());
  CHECK(from_variable->end()->code == EX_CONFIG);
  CHECK(from_variable->end()->text.starts_with("KVD_SIZE=9G: "));
  CHECK(CommandLine::parse(spec(), {"--size", "1K"}, environment)->size("size", 7, 1, 1 << 20) == 1024);

  CommandLine numbers = good({"--rate", "2.5", "--names", "a,,b"});
  CHECK(numbers.real("rate", 0, 0, 10) == 2.5);
  CHECK(numbers.list("names", "") == std::vector<std::string>{"a", "", "b"});
  CHECK_FALSE(numbers.end());
  for (const char* text : {"nan", "inf", "2.5x", " 2", "11"}) {
    CommandLine wrong = good({"--rate", text});
    wrong.real("rate", 0, 0, 10);
    CHECK_MESSAGE(wrong.end(), text);
  }
}

TEST_CASE("help is asked for anywhere, and its lines fit") {
  CommandSpec wide = spec();
  wide.flags[0].help =
      "word word word word word word word word word word word word word word word word word word word";
  wide.notes = "Notes.";
  wide.version = "kvd try 1\n";
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"--help"}, {"-h"}, {"file", "-help"}}) {
    const auto end = CommandLine::parse(wide, arguments);
    REQUIRE_FALSE(end.has_value());
    CHECK(end.error().code == 0);
    CHECK(end.error().text == help_of(wide));
  }
  CHECK(help_of(wide) ==
        "Tries.\nUsage: kvd try [OPTIONS] FILE\n\nOptions:\n"
        "  -h,--help                   print this and exit\n"
        "  --version                   print the version and exit\n"
        "  --size SIZE                 word word word word word word word word word word word word word word "
        "word word\n"
        "                              word word word\n"
        "  --rate N                    how fast (1)\n"
        "  --names A,B                 who (none)\n"
        "  --dry-run                   change nothing\n"
        "\nNotes.\n");
  CHECK(CommandLine::parse(wide, {"--version"}).error().text == "kvd try 1\n");
}
