// TLS 1.3 (RFC 8446) as a value without I/O: ciphertext in, plaintext out, and the reverse. Who moves the bytes is
// Stream. Nothing older is spoken, there is no early data, and nothing lowers any of that.
// The library behind it, OpenSSL, is known to tls.cpp and certificates.cpp alone.
#pragma once
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace kvd::net {

// What a side shows and whom it believes: names of PEM files.
struct TlsFiles {
  std::string certificate;  // a chain, the own one first. Empty: a client shows none
  std::string key;
  std::string
      authorities;  // whom to believe. Empty: a client believes the system's, a server asks for no certificate
  // Of a server that is a client, too: the host that its own certificate has to name, which `authorities` have to
  // believe as a server's and as a client's. Empty: that is not looked at.
  std::string own_host;
  // Authorities of others, with which `authorities` may have none in common. Empty: there are none.
  std::string apart_from;
  bool needs_certificate = false;     // of a server: who shows none is refused
  std::string protocol = "http/1.1";  // what is spoken inside (ALPN, RFC 7301)
};

// The files, read. Never changes; whoever shares it may be in any thread.
class TlsContext {
 public:
  enum class Side : uint8_t { kServer, kClient };
  // Reads the files, so it blocks. An Error names the file and says what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> load(Side side, const TlsFiles& files);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  std::time_t expires() const { return expires_; }       // of the own certificate; 0: there is none
  const std::string& serial() const { return serial_; }  // likewise, in hexadecimal

 private:
  friend class TlsSession;
  struct Native;
  TlsContext();

  std::unique_ptr<Native> native_;
  Side side_ = Side::kServer;
  std::time_t expires_ = 0;
  std::string serial_;
};

// Whether the same certificate is in both PEM files. An Error names the file that cannot be read.
Result<bool> share_certificate(const std::string& one, const std::string& other);

// One connection's part of it. What has to be sent is appended to `out` by each call, failed ones included: the other
// side learns why.
class TlsSession {
 public:
  enum class State : uint8_t {
    kHandshake,  // more has to come
    kOpen,
    kEnded,   // the other side sends no more, and said so
    kFailed,  // failure() says why
  };

  explicit TlsSession(std::shared_ptr<const TlsContext> context);  // a server's
  // A client's, which talks only to who has a certificate for `host`: a name, or an address.
  TlsSession(std::shared_ptr<const TlsContext> context, const std::string& host);
  ~TlsSession();
  TlsSession(TlsSession&&) noexcept;
  TlsSession& operator=(TlsSession&&) = delete;

  bool is_client() const;
  State state() const { return state_; }
  const std::string& failure() const { return failure_; }
  // kFailed, since the other side does not want this one's certificate, or wants one. It has read nothing of what was
  // written.
  bool was_refused() const { return was_refused_; }
  // The subject alternative names of the other side's certificate, which is verified: "dns:kvd1.example",
  // "ip:10.0.0.1", "uri:spiffe://...", "email:...". None: it showed no certificate. While kOpen.
  std::vector<std::string> names() const;

  // Takes ciphertext while kHandshake: as much of it as belongs to the handshake. A client begins with none.
  State advance(std::string_view& in, std::string& out);
  // While kOpen: how many bytes of plaintext `in` became. Less than `to` has room for: all of `in` is used up.
  size_t read(std::string_view& in, std::span<char> to, std::string& out);
  void write(std::string_view plain, std::string& out);  // while kOpen or kEnded
  void end(std::string& out);                            // no more will be written

 private:
  struct Native;
  void fail(const char* doing, int result);
  bool too_many_updates();

  std::unique_ptr<Native> native_;
  State state_ = State::kHandshake;
  std::string failure_;
  bool was_refused_ = false;
};

}  // namespace kvd::net
