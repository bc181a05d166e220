// What can follow on a command line, with tables of its own: subcommands, flags, values, and what is left to the
// shell. The shells themselves are asked in tests/shell/completion_test.py.
#include "base/completion.hpp"

#include <doctest.h>

using namespace kvd;

namespace {

std::string completed(const std::vector<std::string>& words) {
  CommandSpec program{"kvd", "[OPTIONS]", "Serves."};
  program.flags = {
      {"sync", "always|interval:MS", "when"}, {"data-dir", "DIR", "where"}, {"alone", nullptr, "so"}};
  program.version = "1";
  CommandSpec lock{"kvd lock", "PATH -- CMD", "Locks."};
  lock.flags = {{"name", "NAME", "who"}};
  lock.operands = 1;
  lock.command = true;
  CommandSpec look{"kvd look", "FILE|DIR", "Looks."};
  look.operands = 1;
  CommandSpec send{"kvd send", "[FILE|-]", "Sends."};
  send.flags = {{"0", nullptr, "NUL"}};
  send.operands = 1;
  CommandSpec keep{"kvd stuff keep", "FILE", "Keeps.", {{"all", nullptr, "all of it"}}};
  keep.operands = 1;
  const CommandSpec show{"kvd stuff show", "", "Shows."};
  return complete({program, lock, look, send, keep, show}, words);
}

}  // namespace

TEST_CASE("the first word is a subcommand or a flag of the program") {
  CHECK(completed({}) == "lock\tLocks.\nlook\tLooks.\nsend\tSends.\nstuff\tseveral commands\n:none\n");
  CHECK(completed({"loc"}) == "lock\tLocks.\n:none\n");
  CHECK(completed({"--s"}) == "--sync\twhen\n:none\n");
  CHECK(completed({"--v"}) == "--version\tprint the version and exit\n:none\n");
  CHECK(completed({"--alone", "lo"}) == ":none\n");  // kvd takes subcommands in the first place only
}

TEST_CASE("a subcommand may have two words") {
  CHECK(completed({"st"}) == "stuff\tseveral commands\n:none\n");
  CHECK(completed({"stuff", ""}) == "keep\tKeeps.\nshow\tShows.\n:none\n");
  CHECK(completed({"stuff", "s"}) == "show\tShows.\n:none\n");
  CHECK(completed({"stuff", "keep", "--"}) == "--help\tprint this and exit\n--all\tall of it\n:none\n");
  CHECK(completed({"stuff", "keep", ""}) == ":files\n");
  CHECK(completed({"stuff", "show", ""}) == ":none\n");
  CHECK(completed({"stuff", "-"}) == "--help\tprint this and exit\n:none\n");
  CHECK(completed({"stuff", "--s"}) == ":none\n");
  CHECK(completed({"stuff", "other", ""}) == ":none\n");
  CHECK(completed({"keep", "--a"}) == "--alone\tso\n:none\n");
  CHECK(completed({"lock", "keep", ""}) == "--\tthe command follows\n:none\n");
}

TEST_CASE("a flag of a subcommand is its own") {
  CHECK(completed({"lock", "-"}) == "--help\tprint this and exit\n--name\twho\n:none\n");
  CHECK(completed({"lock", "a", "--s"}) == ":none\n");
}

TEST_CASE("values come from what the flag may be, files and directories from the shell") {
  CHECK(completed({"--sync", ""}) == "always\t\ninterval:\t\n:none\n");
  CHECK(completed({"--sync", "a"}) == "always\t\n:none\n");
  CHECK(completed({"--sync=i"}) == "--sync=interval:\t\n:none\n");
  CHECK(completed({"--alone=f"}) == "--alone=false\t\n:none\n");
  CHECK(completed({"--data-dir", ""}) == ":directories\n");
  CHECK(completed({"--data-dir=x"}) == ":directories\n");
  CHECK(completed({"lock", "--name", "--"}) == ":none\n");
  CHECK(completed({"--unknown=x"}) == ":none\n");
}

TEST_CASE("operands, and the command behind --") {
  CHECK(completed({"look", ""}) == ":files\n");
  CHECK(completed({"look", "a", ""}) == ":none\n");
  CHECK(completed({"send", ""}) == ":files\n");
  CHECK(completed({"send", "-"}) == "--help\tprint this and exit\n-0\tNUL\n:none\n");
  CHECK(completed({"lock", ""}) == ":none\n");
  CHECK(completed({"lock", "--name", "me", "a", ""}) == "--\tthe command follows\n:none\n");
  CHECK(completed({"lock", "a", "--", ""}) == ":command 4\n");
  CHECK(completed({"lock", "a", "--", "ls", "-"}) == ":command 4\n");
  CHECK(completed({"look", "--", ""}) == ":none\n");
}
