// Golden scripts: each *.txt in this folder is a small play in which servers start, die, pause and are asked
// things, and holds what they log and answer. The runner plays it on nodes in a simulated world without
// random faults and compares the text; with --rewrite it writes what it saw, to be read and committed only
// when the change is explained. A line "> COMMAND" is played; what follows it up to the next blank line is
// what it led to.
//
//   servers N [OPTION=VALUE...]     first, and once: the world; options are those of tests/sim/options.cpp
//   start S [catch_up=off] [force_new_lineage=on]
//   kill S  stop S  pause S  resume S
//   cut A B  cut-zookeeper S  heal
//   put S KEY VALUE [MS]            MS: how long it may take (2000)
//   put-if S KEY VALUE REVISION     delete S KEY     get S KEY [linear]     min-in-sync S N
//   put-once S KEY VALUE NAME       with an idempotency key             move-leader S TO
//   run MS                          lets time pass
//   show                            what each server is
//   zookeeper-calls                 how many each server has made since the last time
//
// Whatever is unknown, missing or too much in a command ends the program with exit code 2.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "msg/text.hpp"
#include "msg/znodes.hpp"
#include "sim/context.hpp"
#include "sim/network.hpp"
#include "sim/process.hpp"
#include "sim/zk_gateway.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {
namespace {

[[noreturn]] void bad_script(const std::string& line, const char* problem) {
  fmt::print(stderr, "{}: {}\n", problem, line);
  std::exit(2);
}

class Stage final : private Hosts, public ProcessOwner {
 public:
  explicit Stage(Options options)
      : context_(1),
        network_(context_, *this),
        zookeeper_(
            context_, static_cast<int>(options.servers),
            [this](int server, NodeInput input) { deliver(server, std::move(input)); }, [] {}) {
    context_.options = options;
    for (int i = 0; i < options.servers; ++i)
      processes_.push_back(std::make_unique<Process>(context_, i, *this));
    zookeeper_calls_.resize(processes_.size());
  }

  // Performs one command; returns what it led to.
  std::string perform(std::istringstream& words);

 private:
  HostState host_state(int server) const override {
    return processes_[server]->alive() ? HostState::kRunning : HostState::kProcessDown;
  }
  std::optional<int> server_at(const Address& address) const override {
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (address.host == fmt::format("h{}", i)) return static_cast<int>(i);
    }
    return std::nullopt;
  }
  std::string certified(int server) const override { return fmt::format("dns:h{}", server); }
  void deliver(int server, NodeInput input) override { processes_[server]->deliver(std::move(input)); }
  void on_turn(int) override {}
  void perform(int server, NodeEffect effect) override;
  void crash(int server) override { kill(server, false); }

  void start(int server, std::istringstream& words);
  void kill(int server, bool closes_session);
  void run(Duration span);
  void request(int server, const std::string& command, std::istringstream& words);
  void ask(int server, Operation operation, ReadMode read, Duration timeout = seconds(2),
           const std::string& idempotency_key = "");
  void show();
  void say(const std::string& line) { said_ += line + "\n"; }

  SimContext context_;
  Network network_;
  std::vector<std::unique_ptr<Process>> processes_;
  ZkGateway zookeeper_;
  uint32_t requests_ = 0;
  uint64_t starts_ = 0;
  std::vector<int> zookeeper_calls_;  // by server, since they were last shown
  std::string said_;
};

void Stage::start(int server, std::istringstream& words) {
  NodeConfig config;
  config.self.member = Member{ServerId{fmt::format("s{}", server)}, Incarnation(0xA000 + ++starts_)};
  config.self.http = Address{fmt::format("h{}", server), 8001};
  config.self.peer = Address{fmt::format("h{}", server), 18001};
  config.min_in_sync = static_cast<uint32_t>(context_.options.min_in_sync);
  config.expect = static_cast<uint32_t>(context_.options.expect);
  std::string word;
  while (words >> word) {
    if (word == "catch_up=off") {
      config.catch_up = false;
    } else if (word == "force_new_lineage=on") {
      config.force_new_lineage = true;
    } else {
      bad_script(words.str(), "unknown option");
    }
  }
  words.clear();
  processes_[server]->start(config);
  network_.host_came_up(server);
  zookeeper_.process_started(server);
}

void Stage::kill(int server, bool closes_session) {
  processes_[server]->kill();
  network_.process_died(server, false);
  zookeeper_.process_died(server, closes_session);
}

void Stage::perform(int server, NodeEffect effect) {
  if (auto reply = answer_of_store(effect)) {
    say(fmt::format("s{} answers request {}: {} at revision {}", server, connection_of(reply->id),
                    to_text(reply->answer), reply->revision.value));
  } else if (auto* line = std::get_if<LogLine>(&effect)) {
    std::string text = fmt::format("s{}: {}", server, line->message);
    for (const auto& [name, value] : line->fields) text += fmt::format(" {}={}", name, value);
    say(text);
  } else if (auto* exit = std::get_if<Exit>(&effect)) {
    say(fmt::format("s{} exits with {}{}{}", server, exit->code, exit->reason.empty() ? "" : " ",
                    exit->reason));
    kill(server, true);
  } else if (auto* dial = std::get_if<LinkDial>(&effect)) {
    network_.perform(server, std::move(*dial));
  } else if (auto* send = std::get_if<LinkSend>(&effect)) {
    network_.perform(server, std::move(*send));
  } else if (auto* close = std::get_if<LinkClose>(&effect)) {
    network_.perform(server, *close);
  } else if (auto* call = std::get_if<ZkCall>(&effect)) {
    ++zookeeper_calls_[server];
    zookeeper_.perform(server, std::move(*call));
  } else if (std::holds_alternative<ZkReopen>(effect)) {
    zookeeper_.perform(server, ZkReopen{});
  }
}

void Stage::run(Duration span) {
  bool over = false;
  context_.queue.after(span, [&over] { over = true; });
  while (!over) context_.queue.step();
}

void Stage::ask(int server, Operation operation, ReadMode read, Duration timeout,
                const std::string& idempotency_key) {
  StoreCall request;
  request.operation = std::move(operation);
  request.read = read;
  request.idempotency_key = idempotency_key;
  // By a connection of its own.
  processes_[server]->deliver(Call{request_id(++requests_, 0), std::move(request), timeout});
}

void Stage::show() {
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (!processes_[i]->alive()) {
      say(fmt::format("s{} is down", i));
      continue;
    }
    NodeView view = processes_[i]->node().view();
    say(fmt::format("s{} {}{} epoch {} applied {} log {} complete {}", i, role_name(view.role),
                    view.active ? " active" : "", view.epoch.value, view.commit.value,
                    view.last.revision.value, view.complete ? "yes" : "no"));
  }
}

template <class Number>
Number next(std::istringstream& words) {
  Number number{};
  words >> number;
  return number;
}

// Whatever a client asks of a server.
void Stage::request(int server, const std::string& command, std::istringstream& words) {
  std::string key, value;
  if (command == "put") {
    words >> key >> value;
    int64_t ms = words.eof() ? 2000 : next<int64_t>(words);
    ask(server, PutKey{key, Bytes(value), {}}, ReadMode::kLocal, milliseconds(ms));
  } else if (command == "put-once") {
    words >> key >> value;
    std::string name;
    words >> name;
    ask(server, PutKey{key, Bytes(value), {}}, ReadMode::kLocal, seconds(2), name);
  } else if (command == "put-if") {
    words >> key >> value;
    Condition condition;
    condition.if_match = EntityTags{false, {Revision(next<uint64_t>(words))}};
    ask(server, PutKey{key, Bytes(value), condition}, ReadMode::kLocal);
  } else if (command == "delete") {
    words >> key;
    ask(server, DeleteKey{key, {}}, ReadMode::kLocal);
  } else if (command == "get") {
    words >> key;
    if (!words.eof()) words >> value;
    if (!value.empty() && value != "linear") bad_script(words.str(), "unknown way to read");
    ask(server, ReadKey{key}, value == "linear" ? ReadMode::kLinear : ReadMode::kLocal);
  } else if (command == "move-leader") {
    ask(server, MoveLeader{ServerId{fmt::format("s{}", next<int>(words))}}, ReadMode::kLocal);
  } else if (command == "min-in-sync") {
    ask(server, ChangeSettings{next<uint32_t>(words)}, ReadMode::kLocal);
  } else {
    bad_script(words.str(), "unknown command");
  }
}

std::string Stage::perform(std::istringstream& words) {
  said_.clear();
  std::string command;
  int server = 0;
  words >> command;
  if (command == "run") {
    run(milliseconds(next<int64_t>(words)));
  } else if (command == "show") {
    show();
  } else if (command == "zookeeper-calls") {
    for (size_t i = 0; i < processes_.size(); ++i) {
      int calls = std::exchange(zookeeper_calls_[i], 0);
      if (processes_[i]->alive()) say(fmt::format("s{} has called ZooKeeper {} times", i, calls));
    }
  } else if (command == "heal") {
    network_.heal_all();
    for (size_t i = 0; i < processes_.size(); ++i) zookeeper_.mend(static_cast<int>(i));
  } else if (words >> server; !words || server < 0 || server >= static_cast<int>(processes_.size())) {
    bad_script(words.str(), "unknown command, or no such server");
  } else if (command == "start") {
    start(server, words);
  } else if (command == "kill") {
    kill(server, false);
  } else if (command == "stop") {
    processes_[server]->deliver(StopRequested{});
  } else if (command == "pause") {
    processes_[server]->pause();
    zookeeper_.process_paused(server);
  } else if (command == "resume") {
    zookeeper_.process_resumed(server);
    processes_[server]->resume();
  } else if (command == "cut-zookeeper") {
    zookeeper_.cut(server);
  } else if (command == "cut") {
    int other = next<int>(words);
    network_.block(server, other);
    network_.block(other, server);
  } else {
    request(server, command, words);
  }
  if (std::string more; words.fail() || words >> more) bad_script(words.str(), "words missing or too many");
  return said_;
}

// A world whose only randomness is the seed's, with short and equal delays and no faults of its own.
Options calm(std::istringstream& words) {
  Options options;
  words >> options.servers;
  options.delay_us_min = options.delay_us_max = 200;
  options.turn_us_max = 0;
  options.zk_delay_us_max = 500;
  std::string word;
  while (words >> word) {
    size_t equals = word.find('=');
    int64_t* number = find_option(options, word.substr(0, equals));
    if (number == nullptr || equals == std::string::npos) bad_script(words.str(), "unknown option");
    *number = std::stoll(word.substr(equals + 1));
  }
  return options;
}

// The script with what its commands lead to now: comments and commands are kept, the rest is made anew.
std::string replay(const std::string& script) {
  std::istringstream lines(script);
  std::string line, out;
  std::unique_ptr<Stage> stage;
  while (std::getline(lines, line)) {
    if (line.starts_with("#")) {
      out += line + "\n";
      continue;
    }
    if (!line.starts_with("> ")) continue;
    std::istringstream words(line.substr(2));
    std::string said;
    if (line.starts_with("> servers ")) {
      if (stage) bad_script(line, "a second world");
      std::string command;
      words >> command;
      stage = std::make_unique<Stage>(calm(words));
    } else {
      if (!stage) bad_script(line, "the first command has to be servers");
      said = stage->perform(words);
    }
    out += "\n" + line + "\n" + said;
  }
  return out;
}

int run_file(const std::filesystem::path& path, bool rewrite) {
  std::ifstream in(path);
  std::stringstream script;
  script << in.rdbuf();
  std::string now = replay(script.str());
  bool same = now == script.str();
  if (rewrite) {
    std::ofstream(path) << now;
  } else if (!same) {
    std::string name = fmt::format("{}.{}.seen", path.filename().string(), getpid());
    std::filesystem::path seen = std::filesystem::temp_directory_path() / name;
    std::ofstream(seen) << now;
    fmt::print("FAIL {}: it went another way, as in {}:\n", path.filename().string(), seen.string());
    std::fflush(stdout);
    std::string diff = fmt::format("diff -u '{}' '{}'", path.string(), seen.string());
    if (std::system(diff.c_str()) == 0) fmt::print("(and yet diff sees no difference)\n");
  }
  if (now.find("\n> ") == std::string::npos) {
    fmt::print("FAIL {}: plays nothing\n", path.filename().string());
    return 1;
  }
  return same || rewrite ? 0 : 1;
}

}  // namespace
}  // namespace kvd::sim

int main(int argc, char** argv) {
  bool rewrite = false;
  int failures = 0;
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--rewrite") {
      rewrite = true;
    } else {
      ++files;
      failures += kvd::sim::run_file(argv[i], rewrite);
    }
  }
  if (files == 0) {
    fmt::print("usage: scenario [--rewrite] FILE...\n");
    return 64;
  }
  return failures == 0 ? 0 : 1;
}
