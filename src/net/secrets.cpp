// See secrets.hpp.
#include "net/secrets.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/check.hpp"

namespace kvd::net {
namespace {

constexpr size_t kSha256Bytes = 32;

unsigned char* octets(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  CHECK(RAND_bytes(octets(bytes), static_cast<int>(count)) == 1);
  return bytes;
}

std::string sha256(std::string_view bytes) {
  // Fetched once: to look it up takes longer than to use it.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  std::string digest(kSha256Bytes, '\0');
  CHECK(algorithm != nullptr);
  CHECK(EVP_Digest(bytes.data(), bytes.size(), octets(digest), nullptr, algorithm, nullptr) == 1);
  return digest;
}

bool equal_secrets(std::string_view one, std::string_view other) {
  return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace kvd::net
