// Certificates for tests, as files in a directory of their own, made anew by each test that wants some, and gone with
// it.
#pragma once
#include <doctest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "net/certificates.hpp"
#include "net/tls.hpp"
#include "support/scratch_directory.hpp"

namespace kvd::testing {

// An authority, and what it signs.
class TestAuthority {
 public:
  TestAuthority() {
    const auto made = net::CertificateAuthority::make("test", lifetime(3650 * int64_t{86'400}));
    REQUIRE(made.has_value());
    write("ca.crt", made->certificate);
    write("ca.key", made->key);
    auto read = net::CertificateAuthority::read(made->certificate, made->key);
    REQUIRE(read.has_value());
    authority_ = std::make_unique<net::CertificateAuthority>(std::move(*read));
  }

  // A certificate for these hosts, of which the first names its files. It is valid for so many seconds, or was over so
  // long ago.
  void sign(const std::vector<std::string>& hosts, net::CertificateUse use = net::CertificateUse::kPeer,
            int64_t seconds = 100 * 86'400) {
    net::CertificateRequest request;
    request.common_name = hosts.front();
    for (const std::string& host : hosts) {
      const bool address = host.front() >= '0' && host.front() <= '9';
      using Kind = net::AlternativeName::Kind;
      request.names.push_back({address ? Kind::kIp : Kind::kDns, host});
    }
    request.use = use;
    const auto made = authority_->sign(request, lifetime(seconds));
    REQUIRE(made.has_value());
    write(hosts.front() + ".crt", made->certificate);
    write(hosts.front() + ".key", made->key);
  }

  // Of who shows that certificate, and believes this authority alone.
  net::TlsFiles files(const std::string& host) const {
    net::TlsFiles files;
    files.authorities = directory_ / "ca.crt";
    if (host.empty()) return files;
    files.certificate = directory_ / (host + ".crt");
    files.key = directory_ / (host + ".key");
    return files;
  }
  std::shared_ptr<const net::TlsContext> server(const std::string& host,
                                                bool needs_certificate = false) const {
    net::TlsFiles all = files(host);
    if (!needs_certificate) all.authorities.clear();
    all.needs_certificate = needs_certificate;
    return loaded(net::TlsContext::Side::kServer, all);
  }
  std::shared_ptr<const net::TlsContext> client(const std::string& host = "") const {
    return loaded(net::TlsContext::Side::kClient, files(host));
  }
  std::string path(const std::string& name) const { return directory_ / name; }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(directory_ / name, std::ios::binary) << content;
  }

  static std::shared_ptr<const net::TlsContext> loaded(net::TlsContext::Side side,
                                                       const net::TlsFiles& files) {
    auto context = net::TlsContext::load(side, files);
    REQUIRE_MESSAGE(context.has_value(), context.error().detail);
    return *context;
  }

 private:
  static net::Lifetime lifetime(int64_t seconds) {
    using Clock = std::chrono::system_clock;
    return {Clock::to_time_t(Clock::now()), seconds};
  }

  ScratchDirectory directory_;
  std::unique_ptr<net::CertificateAuthority> authority_;
};

}  // namespace kvd::testing
