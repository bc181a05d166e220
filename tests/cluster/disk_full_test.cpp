// A disk that is really full: a small file system of its own, which the test fills and empties. Needs root, to mount
// it, and is shown as skipped without.
#include <doctest.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>

#include "cluster/cluster.hpp"
#include "cluster/requirements.hpp"

namespace kvd::testing {

namespace {

constexpr const char* kSize = "size=192m";
constexpr uint64_t kReserve = 64u << 20;  // of free space, below which nothing may grow

// Mounted while it lives.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directory(path_);
    if (mount("kvd-test", path_.c_str(), "tmpfs", 0, kSize) != 0) FAIL("mount: " << strerror(errno));
  }
  ~SmallDisk() { umount2(path_.c_str(), MNT_DETACH); }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  const std::string& path() const { return path_; }
  uint64_t free() const {
    struct statvfs space {};
    REQUIRE(statvfs(path_.c_str(), &space) == 0);
    return uint64_t{space.f_bavail} * space.f_frsize;
  }
  // Something else takes all but so many bytes.
  void fill(uint64_t but) {
    std::ofstream file(path_ + "/filler", std::ios::binary | std::ios::app);
    const std::string block(64 << 10, 'x');
    while (free() > but && file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void empty() { std::filesystem::remove(path_ + "/filler"); }

 private:
  std::string path_;
};

struct FullDisk {
  FullDisk() : directory((std::filesystem::temp_directory_path() / "kvd-disk-XXXXXX").string()) {
    REQUIRE(mkdtemp(directory.data()) != nullptr);
    disk.emplace(directory + "/disk");
    server.emplace("the server", directory + "/server.log", "127.0.0.1:1",
                   std::vector<std::string>{"--standalone", "--data-dir", disk->path() + "/data"});
  }
  ~FullDisk() {
    server.reset();
    disk.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  void wait_until(const std::string& what, const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (!holds()) {
      INFO(server->log());
      REQUIRE_MESSAGE(std::chrono::steady_clock::now() < deadline, what);
      REQUIRE(server->running());
      std::this_thread::sleep_for(milliseconds(20));
    }
  }
  HttpAnswer put_another() {
    last = fmt::format("more-{}", ++keys);
    return server->put(last, std::string(1000, 'v'));
  }
  bool refuses() {
    const HttpAnswer answer = put_another();
    if (answer.status != 507) return false;
    CHECK(answer.body.find("urn:kvd:disk-full") != std::string::npos);
    CHECK(answer.body.find("\"outcome\":\"not-applied\"") != std::string::npos);
    return true;
  }
  bool takes() { return put_another().status == 201; }
  int remove(const std::string& key) {
    return http_request(server->http(), "DELETE", "/v1/kv/" + key, "", kDeadline).status;
  }

  std::string directory;
  int keys = 0;
  std::string last;  // key written
  std::optional<SmallDisk> disk;
  std::optional<KvdServer> server;
};

TEST_CASE_FIXTURE(FullDisk, "a full disk refuses what grows until there is space again") {
  server->start();
  wait_until("it is ready", [&] { return server->get("/readyz").status == 200; });
  for (const char* key : {"a", "b", "c"}) REQUIRE(server->put(key, "value").status == 201);
  disk->fill(kReserve / 2);
  wait_until("growing writes are refused", [&] { return refuses(); });
  say("Little space is left: a write that grows is refused.");
  CHECK(server->get("/v1/kv/a").body == "value");
  CHECK(server->put("a", "less").status == 200);
  CHECK(remove("b") == 204);
  CHECK(server->get("/v1/cluster").body.find("little space is left on disk") != std::string::npos);
  disk->fill(0);
  CHECK(server->get("/v1/kv/a").body == "less");
  CHECK(remove("c") == 204);
  say("Nothing is left: reads and deletes go on.");
  disk->empty();
  wait_until("growing writes are taken again", [&] { return takes(); });
  say("There is space again, and writes are taken.");
  server->kill();
  server->start();
  wait_until("it is ready", [&] { return server->get("/readyz").status == 200; });
  CHECK(server->get("/v1/kv/a").body == "less");
  CHECK(server->get("/v1/kv/b").status == 404);
  CHECK(server->get("/v1/kv/" + last).status == 200);
}

TEST_CASE_FIXTURE(FullDisk, "a server that starts on a full disk serves once there is space") {
  server->start();
  wait_until("it is ready", [&] { return server->get("/readyz").status == 200; });
  REQUIRE(server->put("a", "value").status == 201);
  server->kill();
  disk->fill(0);
  server->start();
  wait_until("it says what it waits for", [&] {
    return server->get("/readyz?verbose").body.find("reads its data directory") != std::string::npos;
  });
  disk->empty();
  wait_until("it is ready", [&] { return server->get("/readyz").status == 200; });
  CHECK(server->get("/v1/kv/a").body == "value");
}

}  // namespace

std::string further_requirement() { return geteuid() == 0 ? "" : "root, to mount a small file system"; }

}  // namespace kvd::testing
