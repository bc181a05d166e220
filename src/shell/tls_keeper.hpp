// The TLS files of one port as they are on disk: read at the start, again when that is asked for (SIGHUP), and when
// one of them has changed, which is looked at every half minute: who renews certificates in a container sends no
// signal. New connections get what is newest; those that stand stay. What cannot be read changes nothing, is logged
// once, and is told in the status until it is mended, and so is a certificate that expires soon. Loop thread only.
#pragma once
#include <array>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "net/loop.hpp"
#include "net/tls.hpp"
#include "shell/input_sink.hpp"

namespace kvd {

class TlsKeeper {
 public:
  // `use` is "http" or "peer". Of the latter each side is both: it accepts, and dials.
  enum class Sides : uint8_t { kServer, kBoth };
  TlsKeeper(uv_loop_t* loop, std::string use, net::TlsFiles files, Sides sides, InputSink sink, LogSink log);
  ~TlsKeeper();
  TlsKeeper(const TlsKeeper&) = delete;
  TlsKeeper& operator=(const TlsKeeper&) = delete;

  Result<void> start();  // reads the files, so it blocks: for the start only. An Error names the file
  void reload();         // soon, in another thread
  void close();          // looks no more

  // Never null once started.
  const std::shared_ptr<const net::TlsContext>& server() const { return loaded_.server; }
  const std::shared_ptr<const net::TlsContext>& client() const { return loaded_.client; }

 private:
  struct Stamp {  // of a file: another one tells that it may have changed
    int64_t modified_ns = 0;
    uint64_t inode = 0;
    int64_t size = -1;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 3>;
  struct Loaded {
    std::shared_ptr<const net::TlsContext> server, client;
  };
  struct Job;

  static Stamps stamps_of(const net::TlsFiles& files);
  static Result<Loaded> load(const net::TlsFiles& files, Sides sides);
  void begin(bool always);
  void take(Job& job);
  void look_again_later();
  void tell();

  uv_loop_t* loop_;
  std::string use_;
  net::TlsFiles files_;
  Sides sides_;
  InputSink sink_;
  LogSink log_;
  net::Timer timer_;
  Stamps stamps_{};  // of the newest attempt
  Loaded loaded_;
  std::string failure_;  // of the newest attempt
  bool again_ = false;   // asked for while a job is under way
  Job* job_ = nullptr;   // frees itself when it is done
};

}  // namespace kvd
