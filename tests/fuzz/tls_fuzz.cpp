// A TLS session between a client and a server whose bytes somebody on the way changes. Of the input each three bytes
// are one change: which byte of those under way (two), and what it is changed by. Nothing that was changed is ever
// taken for what was said, and each failure has a reason.
#include <stdlib.h>

#include <cstdint>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "net/certificates.hpp"
#include "net/tls.hpp"

using kvd::net::TlsContext;
using kvd::net::TlsSession;

namespace {

constexpr char kQuestion[] = "a question of some length";

void require(bool holds) {
  if (!holds) abort();
}

struct Contexts {
  std::shared_ptr<const TlsContext> server, client;

  Contexts() {
    char directory[] = "/tmp/kvd-fuzz-XXXXXX";
    require(mkdtemp(directory) != nullptr);
    const std::string at = std::string(directory) + "/";
    using namespace kvd::net;
    const Lifetime lifetime{std::time(nullptr), 86'400};
    const auto authority = CertificateAuthority::make("fuzz", lifetime);
    const auto by = CertificateAuthority::read(authority->certificate, authority->key);
    CertificateRequest request{"localhost", {{AlternativeName::Kind::kDns, "localhost"}}, CertificateUse::kPeer};
    const auto made = by->sign(request, lifetime);
    std::ofstream(at + "ca") << authority->certificate;
    std::ofstream(at + "crt") << made->certificate;
    std::ofstream(at + "key") << made->key;
    TlsFiles files;
    files.certificate = at + "crt";
    files.key = at + "key";
    files.authorities = at + "ca";
    files.needs_certificate = true;
    server = *TlsContext::load(TlsContext::Side::kServer, files);
    client = *TlsContext::load(TlsContext::Side::kClient, files);
    for (const char* name : {"ca", "crt", "key"}) unlink((at + name).c_str());
    rmdir(directory);
  }
};

class OnTheWay {
 public:
  OnTheWay(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  // Changes the flight, by what is left of the input's first half of changes at most.
  void change(std::string& flight) {
    for (; size_ >= 3 && !flight.empty(); data_ += 3, size_ -= 3) {
      const size_t at = (size_t{data_[0]} << 8 | data_[1]) % 0x8000;
      if (at >= flight.size()) return;  // of a later flight
      flight[at] = static_cast<char>(flight[at] ^ data_[2]);
      changed_ = changed_ || data_[2] != 0;
    }
  }
  bool changed() const { return changed_; }

 private:
  const uint8_t* data_;
  size_t size_;
  bool changed_ = false;
};

// What the session read of it.
std::string take(TlsSession& session, const std::string& flight, std::string& out) {
  std::string_view in = flight;
  if (session.state() == TlsSession::State::kHandshake) session.advance(in, out);
  char to[256];
  std::string heard;
  while (session.state() == TlsSession::State::kOpen && !in.empty())
    heard.append(to, session.read(in, to, out));
  require(session.state() != TlsSession::State::kFailed || !session.failure().empty());
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Contexts contexts;
  TlsSession server(contexts.server), client(contexts.client, "localhost");
  OnTheWay way(data, size);
  std::string to_server, to_client, heard;
  take(client, "", to_server);
  for (int flights = 0; flights < 8; ++flights) {
    if (flights == 3 && client.state() == TlsSession::State::kOpen) client.write(kQuestion, to_server);
    std::string& from = flights % 2 == 0 ? to_server : to_client;
    std::string flight;
    flight.swap(from);
    way.change(flight);
    if (flights % 2 == 0) {
      heard += take(server, flight, to_client);
    } else {
      take(client, flight, to_server);
    }
  }
  require(heard.empty() || heard == kQuestion);
  require(way.changed() || heard == kQuestion);
  return 0;
}
