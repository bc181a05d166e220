// A configuration as clients have it, without servers and disks: what tells two apart, which keys can be files, what a
// watch stream makes of a mirror line by line, and what is said of the nodes.
#include <doctest.h>

#include <map>
#include <string>
#include <vector>

#include "client/config_mirror.hpp"
#include "client/config_record.hpp"
#include "client/config_set.hpp"

using namespace kvd;
using namespace kvd::client;

namespace {

ConfigSet set_of(const std::vector<std::string>& keys) {
  ConfigSet set;
  for (const std::string& key : keys) set[key] = {"of " + key, set.size() + 1};
  return set;
}

// Of a mirror of app/: the lines come as servers write them.
struct Told {
  ConfigMirror mirror{"app/"};

  void operator()(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      const auto parsed = parse_watched_line(line);
      REQUIRE_MESSAGE(parsed.has_value(), line);
      mirror.apply(*parsed);
    }
  }
  std::string values() const {
    std::string all;
    for (const auto& [key, content] : mirror.set())
      all += key + "=" + content.value + "@" + std::to_string(content.revision) + " ";
    return all;
  }
};

ConfigNode node_of(const std::string& name, const ConfigRecord& record, bool alive) {
  return {name, record, alive};
}

}  // namespace

TEST_CASE("a configuration is told from others by its newest key and by all that it holds") {
  const ConfigSet empty;
  CHECK(name_of(empty).revision == 0);
  ConfigSet set = set_of({"a", "b", "c"});
  const ConfigName name = name_of(set);
  CHECK(name.revision == 3);
  CHECK(name.digest.size() == 16);
  CHECK(name == name_of(set_of({"a", "b", "c"})));
  CHECK(name.digest != name_of(empty).digest);
  SUBCASE("a key less that is not the newest") {
    set.erase("a");
    CHECK(name_of(set).revision == 3);
    CHECK_FALSE(name_of(set) == name);
  }
  SUBCASE("another value") {
    set["a"].value = "x";
    CHECK_FALSE(name_of(set) == name);
  }
  SUBCASE("bytes that move from the key to the value, or to the next one") {
    CHECK_FALSE(name_of({{"ab", {"c", 1}}}) == name_of({{"a", {"bc", 1}}}));
    CHECK_FALSE(name_of({{"a", {"", 1}}, {"b", {"x", 1}}}) == name_of({{"a", {"x", 1}}, {"b", {"", 1}}}));
  }
  SUBCASE("the same, written once more") {
    set["a"].revision = 7;
    CHECK(name_of(set).digest == name.digest);
    CHECK(name_of(set).revision == 7);
  }
}

TEST_CASE("which keys can be files") {
  const std::string most(255, 'x');
  for (const std::vector<std::string>& keys :
       std::vector<std::vector<std::string>>{{},
                                             {"a"},
                                             {"a", "b/c", "b/d/e"},
                                             {"a", "a!", "ab", "a.b/c"},
                                             {"..."},
                                             {".a/..b"},
                                             {most + "/" + most},
                                             {"\xff\x01 \n"},
                                             {".running"}})
    CHECK(problem_of_paths(set_of(keys), "app/").empty());
  const auto bad = [](const std::vector<std::string>& keys, const std::string& problem) {
    CHECK(problem_of_paths(set_of(keys), "app/") == "the key app/" + problem);
  };
  bad({""}, " has an empty component");
  bad({"/a"}, "/a has an empty component");
  bad({"good", "a//b"}, "a//b has an empty component");
  bad({"a/"}, "a/ has an empty component");
  for (const std::string part : {".", ".."}) {
    bad({part}, part + " has a component that is no name");
    bad({part + "/a"}, part + "/a has a component that is no name");
    bad({"a/" + part}, "a/" + part + " has a component that is no name");
  }
  bad({std::string("a/\0b", 4)}, "a/%00b holds a NUL");
  bad({most + "x"}, most + "x has a component of more than 255 bytes");
  bad({"a", "a!", "a/b"}, "a/b is below a key, which cannot be a file and a directory");
  bad({"a/b", "a/b/c/d"}, "a/b/c/d is below a key, which cannot be a file and a directory");
}

TEST_CASE("a mirror is whole when the state was told") {
  Told told;
  CHECK_FALSE(told.mirror.is_whole());
  told({R"({"type":"put","key":"app/a","value":"1","revision":3,"version":1,"created":3,"state":true})",
        R"({"type":"put","key":"app/b","value":"2","revision":5,"version":1,"created":5,"state":true})",
        R"({"type":"delete","key":"app/a","revision":8,"state":true})"});
  CHECK_FALSE(told.mirror.is_whole());
  told({R"({"type":"synced","revision":9})"});
  CHECK(told.mirror.is_whole());
  CHECK(told.mirror.revision() == 9);
  CHECK(told.values() == "b=2@5 ");
  CHECK(name_of(told.mirror.set()).revision == 5);
  SUBCASE("another stream begins anew") {
    told.mirror.begin();
    CHECK_FALSE(told.mirror.is_whole());
    told({R"({"type":"synced","revision":10})"});
    CHECK(told.values().empty());
  }
  SUBCASE("so does a reset") {
    told({R"({"type":"reset","revision":12,"reason":"history"})"});
    CHECK_FALSE(told.mirror.is_whole());
    told({R"({"type":"put","key":"app/c","value":"3","revision":11,"version":1,"created":11,"state":true})",
          R"({"type":"synced","revision":12})"});
    CHECK(told.values() == "c=3@11 ");
  }
}

TEST_CASE("a change counts when all of its revision has come") {
  Told told;
  told({R"({"type":"synced","revision":4})"});
  const uint64_t before = told.mirror.changes();
  told(
      {R"({"type":"put","key":"app/a","value":"1","revision":6,"version":1,"created":6,"more":true})",
       R"({"type":"put","key":"app/b","value_b64":"/w==","revision":6,"version":1,"created":6,"more":true})"});
  CHECK(told.values().empty());
  CHECK(told.mirror.revision() == 4);
  CHECK(told.mirror.changes() == before);
  told({R"({"type":"delete","key":"app/x","revision":6})"});
  CHECK(told.values() == "a=1@6 b=\xff@6 ");
  CHECK(told.mirror.revision() == 6);
  told({R"({"type":"expire","key":"app/a","revision":7})"});
  CHECK(told.values() == "b=\xff@6 ");
  SUBCASE("what was cut off in between is forgotten") {
    told({R"({"type":"put","key":"app/c","value":"3","revision":9,"version":1,"created":9,"more":true})"});
    told.mirror.begin();
    told({R"({"type":"synced","revision":9})", R"({"type":"put","key":"app/d","value":"4","revision":10})"});
    CHECK(told.values() == "d=4@10 ");
  }
}

TEST_CASE("what the nodes say is no part of the configuration") {
  Told told;
  told({R"({"type":"put","key":"app/.running/n1","value":"x","revision":3,"state":true})",
        R"({"type":"put","key":"app/.runninG/n1","value":"y","revision":4,"state":true})",
        R"({"type":"synced","revision":4})"});
  const uint64_t before = told.mirror.changes();
  told({R"({"type":"put","key":"app/.running/n2","value":"z","revision":7})"});
  CHECK(told.values() == ".runninG/n1=y@4 ");
  CHECK(told.mirror.changes() == before);
  CHECK(told.mirror.revision() == 7);
  CHECK(told.mirror.records() == std::map<std::string, std::string>{{"n1", "x"}, {"n2", "z"}});
  told({R"({"type":"delete","key":"app/.running/n1","revision":8})"});
  CHECK(told.mirror.records().size() == 1);
}

TEST_CASE("how far a mirror is, and whether there may be more") {
  Told told;
  told({R"({"type":"stale","silent_ms":900})", R"({"type":"synced","revision":4})"});
  CHECK(told.mirror.is_stale());
  CHECK_FALSE(told.mirror.confirmed());
  told({R"({"type":"progress","revision":5})", R"({"type":"current","revision":5})"});
  CHECK_FALSE(told.mirror.is_stale());
  CHECK_FALSE(told.mirror.confirmed());
  told({R"({"type":"progress","revision":6,"linear":true})", R"({"type":"later","more":"words"})"});
  CHECK(told.mirror.confirmed() == 6);
  CHECK(told.mirror.revision() == 6);
  told.mirror.begin();
  CHECK_FALSE(told.mirror.confirmed());
}

TEST_CASE("a record comes back as it was written") {
  ConfigRecord record;
  record.config = {7, "00ff00ff00ff00ff"};
  record.state = ConfigRecord::State::kFailed;
  record.exit = 143;
  record.problem = "no \"room\"";
  record.lease = 12;
  record.time = "2026-11-29T23:42:56Z";
  const std::string json = record_json(record);
  CHECK(json ==
        R"({"revision":7,"digest":"00ff00ff00ff00ff","state":"failed","exit":143,"problem":"no \"room\"",)"
        R"("lease":12,"time":"2026-11-29T23:42:56Z"})");
  const auto parsed = parse_config_record(json);
  REQUIRE(parsed);
  CHECK(record_json(*parsed) == json);
  record.exit.reset();
  record.problem.clear();
  record.state = ConfigRecord::State::kApplying;
  const auto shorter = parse_config_record(record_json(record));
  REQUIRE(shorter);
  CHECK_FALSE(shorter->exit);
  CHECK(record_json(*shorter) == record_json(record));
  for (const char* bad :
       {"", "x", "[]", R"({"revision":1,"lease":2,"state":"other"})", R"({"state":"running"})"})
    CHECK_FALSE(parse_config_record(bad));
}

TEST_CASE("who runs what") {
  ConfigStatus status{"app/", {7, "d7"}, 1, {}};
  CHECK_FALSE(is_all_well(status));
  CHECK(status_text(status) == "revision 7 of app/: 1 key, 0 nodes\n");
  ConfigRecord good;
  good.config = {7, "d7"};
  good.state = ConfigRecord::State::kRunning;
  good.time = "T";
  status.nodes = {node_of("n1", good, true)};
  CHECK(is_all_well(status));
  const auto with = [&status, &good](void (*change)(ConfigNode&)) {
    ConfigNode other = node_of("n2", good, true);
    change(other);
    status.nodes.push_back(other);
    const bool well = is_all_well(status);
    std::string line = status_text(status);
    status.nodes.pop_back();
    line.erase(0, line.rfind('\n', line.size() - 2) + 1);
    return (well ? "well: " : "not well: ") + line;
  };
  CHECK(with([](ConfigNode&) {}) == "well: n2\t7\trunning\talive\tcurrent\n");
  CHECK(with([](ConfigNode& node) { node.alive = false; }) ==
        "not well: n2\t7\trunning\tblind since T or later\tcurrent\n");
  CHECK(with([](ConfigNode& node) { node.record.config.digest = "d6"; }) ==
        "not well: n2\t7\trunning\talive\tbehind\n");
  CHECK(with([](ConfigNode& node) { node.record.config.revision = 5; }) ==
        "not well: n2\t5\trunning\talive\tbehind\n");
  CHECK(with([](ConfigNode& node) { node.record.state = ConfigRecord::State::kApplying; }) ==
        "not well: n2\t7\tapplying\talive\tcurrent\n");
  CHECK(with([](ConfigNode& node) {
          node.record.state = ConfigRecord::State::kFailed;
          node.record.exit = 3;
        }) == "not well: n2\t7\tfailed: the command ended with 3\talive\tcurrent\n");
  CHECK(with([](ConfigNode& node) {
          node.record.state = ConfigRecord::State::kFailed;
          node.record.problem = "why";
          node.name = "a\tb";
        }) == "not well: a%09b\t7\tfailed: why\talive\tcurrent\n");
  CHECK(
      status_json(status) ==
      R"({"prefix":"app/","revision":7,"digest":"d7","keys":1,"nodes":[{"node":"n1","revision":7,"digest":"d7",)"
      R"("state":"running","lease":0,"time":"T","alive":true,"current":true}]})"
      "\n");
}
