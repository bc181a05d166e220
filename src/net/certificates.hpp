// Keys and certificates for TLS (RFC 5280), made and signed here, as PEM texts: certificate authorities that sign
// themselves, and the certificates of servers and clients that they sign. Nothing here reads a file or a clock.
//
// Keys are of the curve P-256, signatures ECDSA with SHA-256, serials random numbers of 128 bits. Everything is valid
// from an hour before it was made, since clocks differ. Any thread. Each error says what was to be done and the
// reason that OpenSSL gives.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace kvd::net {

// When a certificate is made, and how long it is to be valid from then on. In seconds; `now` since 1970.
struct Lifetime {
  int64_t now = 0;
  int64_t seconds = 0;
};

struct AlternativeName {
  enum class Kind : uint8_t { kDns, kIp, kUri, kEmail };
  Kind kind = Kind::kDns;
  std::string text;  // an address as canonical_ip() writes it; all others in ASCII

  bool operator==(const AlternativeName&) const = default;
};

enum class CertificateUse : uint8_t {
  kServer,  // TLS servers
  kPeer,    // of servers among each other: each is the other's client, too
  kClient,  // TLS clients
};

struct CertificateRequest {
  std::string common_name;             // in UTF-8, at most 64 characters; empty: none
  std::vector<AlternativeName> names;  // not empty
  CertificateUse use = CertificateUse::kServer;
};

struct CertifiedKey {
  std::string key;          // PEM (RFC 5958), not encrypted
  std::string certificate;  // PEM
  int64_t expires = 0;      // its last second, since 1970
};

class CertificateAuthority {
 public:
  // With a key of its own. `common_name` in UTF-8, 1 to 64 characters. It signs no other authority (pathlen 0).
  static Result<CertifiedKey> make(const std::string& common_name, Lifetime lifetime);
  // Of the first certificate in `certificate`, and its key, both PEM. Refuses what is no authority, or two that do not
  // belong together, and a key that is encrypted: nobody is asked for a password.
  static Result<CertificateAuthority> read(const std::string& certificate, const std::string& key);

  CertificateAuthority(CertificateAuthority&&) noexcept;
  CertificateAuthority& operator=(CertificateAuthority&&) noexcept;
  ~CertificateAuthority();

  // A new key with a certificate that this authority signs. It does not outlive the authority: its lifetime is cut.
  // Refused when the authority has expired, or is not valid yet.
  Result<CertifiedKey> sign(const CertificateRequest& request, Lifetime lifetime) const;

  int64_t expires() const;  // as in CertifiedKey

 private:
  struct State;
  explicit CertificateAuthority(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace kvd::net
