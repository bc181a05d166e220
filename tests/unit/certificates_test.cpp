// Certificates as net/certificates makes them, read back by OpenSSL: whom they name, what for, for how long, who has
// signed them; and what is refused.
#include "net/certificates.hpp"

#include <doctest.h>
#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace kvd;
using namespace kvd::net;

namespace {

using Kind = AlternativeName::Kind;

constexpr int64_t kNow = 1'900'000'000;
constexpr int64_t kDay = 86'400;
constexpr int64_t kYear = 365 * kDay;

std::shared_ptr<X509> parse(const std::string& text) {
  const std::unique_ptr<BIO, int (*)(BIO*)> buffer(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  std::shared_ptr<X509> certificate(PEM_read_bio_X509(buffer.get(), nullptr, nullptr, nullptr), X509_free);
  REQUIRE(certificate != nullptr);
  return certificate;
}

std::shared_ptr<EVP_PKEY> parse_key(const std::string& text) {
  const std::unique_ptr<BIO, int (*)(BIO*)> buffer(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(buffer.get(), nullptr, nullptr, nullptr),
                                EVP_PKEY_free);
  REQUIRE(key != nullptr);
  return key;
}

CertifiedKey made_authority(const std::string& name = "test CA", Lifetime lifetime = {kNow, 10 * kYear}) {
  auto made = CertificateAuthority::make(name, lifetime);
  REQUIRE_MESSAGE(made.has_value(), made.error().detail);
  return *made;
}

CertificateAuthority read(const CertifiedKey& made) {
  auto authority = CertificateAuthority::read(made.certificate, made.key);
  REQUIRE_MESSAGE(authority.has_value(), authority.error().detail);
  return std::move(*authority);
}

CertifiedKey signed_by(const CertifiedKey& authority, const CertificateRequest& request,
                       Lifetime lifetime = {kNow, kYear}) {
  auto made = read(authority).sign(request, lifetime);
  REQUIRE_MESSAGE(made.has_value(), made.error().detail);
  return *made;
}

std::string refused(const CertifiedKey& authority, const CertificateRequest& request,
                    Lifetime lifetime = {kNow, kYear}) {
  auto made = read(authority).sign(request, lifetime);
  REQUIRE_FALSE(made.has_value());
  return made.error().detail;
}

// What OpenSSL says of `leaf`, where `authority` alone is trusted: X509_V_OK, or why not.
int verified(const CertifiedKey& leaf, const CertifiedKey& authority, int purpose, int64_t at = kNow) {
  const auto certificate = parse(leaf.certificate);
  const auto trusted = parse(authority.certificate);
  const std::unique_ptr<X509_STORE, void (*)(X509_STORE*)> store(X509_STORE_new(), X509_STORE_free);
  REQUIRE(X509_STORE_add_cert(store.get(), trusted.get()) == 1);
  const std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)> context(X509_STORE_CTX_new(),
                                                                           X509_STORE_CTX_free);
  REQUIRE(X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) == 1);
  X509_VERIFY_PARAM* terms = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(terms, at);
  X509_VERIFY_PARAM_set_flags(terms, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
  REQUIRE(X509_STORE_CTX_set_purpose(context.get(), purpose) == 1);
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

bool is_from_to(const CertifiedKey& made, int64_t first, int64_t last) {
  const auto certificate = parse(made.certificate);
  return ASN1_TIME_cmp_time_t(X509_get0_notBefore(certificate.get()), first) == 0 &&
         ASN1_TIME_cmp_time_t(X509_get0_notAfter(certificate.get()), last) == 0 && made.expires == last;
}

std::string serial_of(const CertifiedKey& made) {
  const auto certificate = parse(made.certificate);
  const std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate.get()), nullptr), BN_free);
  CHECK(BN_num_bits(number.get()) <= 128);
  CHECK(BN_is_negative(number.get()) == 0);
  const std::unique_ptr<char, void (*)(char*)> text(BN_bn2hex(number.get()),
                                                    [](char* bytes) { OPENSSL_free(bytes); });
  return text.get();
}

bool is_critical(const CertifiedKey& made, int id) {
  const auto certificate = parse(made.certificate);
  const int at = X509_get_ext_by_NID(certificate.get(), id, -1);
  REQUIRE(at >= 0);
  return X509_EXTENSION_get_critical(X509_get_ext(certificate.get(), at)) == 1;
}

const CertificateRequest kServerRequest{
    "kvd1",
    {{Kind::kDns, "kvd1.example"}, {Kind::kIp, "10.0.0.5"}, {Kind::kIp, "2001:db8::5"}},
    CertificateUse::kServer};

CertificateRequest request_for(CertificateUse use) {
  CertificateRequest request = kServerRequest;
  request.use = use;
  return request;
}

}  // namespace

TEST_CASE("an authority") {
  const CertifiedKey made = made_authority("test CA");
  const auto certificate = parse(made.certificate);
  CHECK(X509_get_version(certificate.get()) == X509_VERSION_3);
  CHECK(X509_check_ca(certificate.get()) == 1);
  CHECK(X509_get_pathlen(certificate.get()) == 0);
  CHECK(X509_get_key_usage(certificate.get()) == (KU_KEY_CERT_SIGN | KU_CRL_SIGN));
  CHECK(is_critical(made, NID_basic_constraints));
  CHECK(is_critical(made, NID_key_usage));
  CHECK(X509_get0_subject_key_id(certificate.get()) != nullptr);
  CHECK(is_from_to(made, kNow - 3600, kNow + 10 * kYear));
  CHECK(X509_get_signature_nid(certificate.get()) == NID_ecdsa_with_SHA256);
  char curve[64] = "";
  REQUIRE(EVP_PKEY_get_group_name(parse_key(made.key).get(), curve, sizeof curve, nullptr) == 1);
  CHECK(std::string(curve) == "prime256v1");
  char name[64] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
  CHECK(std::string(name) == "test CA");
  CHECK(verified(made, made, X509_PURPOSE_ANY) == X509_V_OK);
}

TEST_CASE("whom a certificate names") {
  const auto server = parse(signed_by(made_authority(), kServerRequest).certificate);
  CHECK(X509_check_host(server.get(), "kvd1.example", 0, 0, nullptr) == 1);
  CHECK(X509_check_host(server.get(), "kvd2.example", 0, 0, nullptr) == 0);
  CHECK(X509_check_host(server.get(), "kvd1", 0, 0, nullptr) == 0);  // the common name is no host
  CHECK(X509_check_ip_asc(server.get(), "10.0.0.5", 0) == 1);
  CHECK(X509_check_ip_asc(server.get(), "10.0.0.6", 0) == 0);
  CHECK(X509_check_ip_asc(server.get(), "2001:db8::5", 0) == 1);

  const CertifiedKey client = signed_by(
      made_authority(), {"app",
                         {{Kind::kUri, "spiffe://corp/app,DNS:evil"}, {Kind::kEmail, "a@b.example"}},
                         CertificateUse::kClient});
  const auto certificate = parse(client.certificate);
  CHECK(X509_check_email(certificate.get(), "a@b.example", 0, 0) == 1);
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  REQUIRE(sk_GENERAL_NAME_num(names.get()) == 2);
  const GENERAL_NAME* uri = sk_GENERAL_NAME_value(names.get(), 0);
  REQUIRE(uri->type == GEN_URI);
  CHECK(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri->d.uniformResourceIdentifier))) ==
        "spiffe://corp/app,DNS:evil");
}

TEST_CASE("what a certificate is for") {
  const CertifiedKey authority = made_authority();
  const CertifiedKey server = signed_by(authority, request_for(CertificateUse::kServer));
  const CertifiedKey peer = signed_by(authority, request_for(CertificateUse::kPeer));
  const CertifiedKey client = signed_by(authority, request_for(CertificateUse::kClient));
  CHECK(verified(server, authority, X509_PURPOSE_SSL_SERVER) == X509_V_OK);
  CHECK(verified(server, authority, X509_PURPOSE_SSL_CLIENT) == X509_V_ERR_INVALID_PURPOSE);
  CHECK(verified(peer, authority, X509_PURPOSE_SSL_SERVER) == X509_V_OK);
  CHECK(verified(peer, authority, X509_PURPOSE_SSL_CLIENT) == X509_V_OK);
  CHECK(verified(client, authority, X509_PURPOSE_SSL_SERVER) == X509_V_ERR_INVALID_PURPOSE);
  CHECK(verified(client, authority, X509_PURPOSE_SSL_CLIENT) == X509_V_OK);
  for (const CertifiedKey& made : {server, peer, client}) {
    const auto certificate = parse(made.certificate);
    CHECK(X509_check_ca(certificate.get()) == 0);
    CHECK(X509_get_key_usage(certificate.get()) == KU_DIGITAL_SIGNATURE);
    CHECK(is_critical(made, NID_basic_constraints));
    CHECK(is_critical(made, NID_key_usage));
    const auto issuer = parse(authority.certificate);
    CHECK(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(certificate.get()),
                                X509_get0_subject_key_id(issuer.get())) == 0);
    CHECK(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(certificate.get()),
                                X509_get0_subject_key_id(certificate.get())) != 0);
    CHECK(X509_check_private_key(certificate.get(), parse_key(made.key).get()) == 1);
  }
}

TEST_CASE("only its own authority is one, also of two with the same name") {
  const CertifiedKey ours = made_authority("kvd CA");
  const CertifiedKey theirs = made_authority("kvd CA");
  const CertifiedKey server = signed_by(ours, kServerRequest);
  CHECK(verified(server, ours, X509_PURPOSE_SSL_SERVER) == X509_V_OK);
  CHECK(verified(server, theirs, X509_PURPOSE_SSL_SERVER) != X509_V_OK);
  CHECK(verified(server, made_authority("another"), X509_PURPOSE_SSL_SERVER) != X509_V_OK);
}

TEST_CASE("serials and keys are never the same") {
  const CertifiedKey authority = made_authority();
  std::set<std::string> serials{serial_of(authority)};
  std::set<std::string> keys{authority.key};
  for (int i = 0; i < 20; ++i) {
    const CertifiedKey made = signed_by(authority, kServerRequest);
    serials.insert(serial_of(made));
    keys.insert(made.key);
  }
  CHECK(serials.size() == 21);
  CHECK(keys.size() == 21);
}

TEST_CASE("a certificate is valid from an hour before it was made, and no longer than its authority") {
  const CertifiedKey authority = made_authority();
  const CertifiedKey year = signed_by(authority, kServerRequest);
  CHECK(is_from_to(year, kNow - 3600, kNow + kYear));
  CHECK(verified(year, authority, X509_PURPOSE_SSL_SERVER, kNow + kYear - 1) == X509_V_OK);
  CHECK(verified(year, authority, X509_PURPOSE_SSL_SERVER, kNow + kYear + 1) == X509_V_ERR_CERT_HAS_EXPIRED);
  CHECK(verified(year, authority, X509_PURPOSE_SSL_SERVER, kNow - 3601) == X509_V_ERR_CERT_NOT_YET_VALID);

  const int64_t late = kNow + 10 * kYear - kDay;
  CHECK(is_from_to(signed_by(authority, kServerRequest, {late, kYear}), late - 3600, kNow + 10 * kYear));
  CHECK(read(authority).expires() == kNow + 10 * kYear);
  // The clock went back behind the authority's first second by less than that hour.
  CHECK(is_from_to(signed_by(authority, kServerRequest, {kNow - 10, kYear}), kNow - 3600, kNow - 10 + kYear));
  // 2050 and later is written in another form (RFC 5280, 4.1.2.5).
  const CertifiedKey far = made_authority("far", {2'600'000'000, kYear});
  CHECK(is_from_to(signed_by(far, kServerRequest, {2'600'000'000, kDay}), 2'600'000'000 - 3600,
                   2'600'000'000 + kDay));
}

TEST_CASE("an authority outside of its time signs nothing") {
  const CertifiedKey authority = made_authority();
  CHECK(refused(authority, kServerRequest, {kNow + 10 * kYear, kYear}).find("expired at 20") !=
        std::string::npos);
  CHECK(refused(authority, kServerRequest, {kNow - 4000, kYear}).find("not valid before 20") !=
        std::string::npos);
}

TEST_CASE("what is read is an authority and its key") {
  const CertifiedKey authority = made_authority();
  const CertifiedKey other = made_authority();
  const CertifiedKey server = signed_by(authority, kServerRequest);
  auto problem = [](const std::string& certificate, const std::string& key) {
    const auto read = CertificateAuthority::read(certificate, key);
    REQUIRE_FALSE(read.has_value());
    return read.error().detail;
  };
  CHECK(problem("", "").find("no certificate in PEM: no start line") != std::string::npos);
  CHECK(problem(authority.key, authority.key).find("no certificate in PEM") != std::string::npos);
  CHECK(problem(authority.certificate.substr(0, 200), authority.key).find("no certificate in PEM") !=
        std::string::npos);
  CHECK(problem(authority.certificate, "").find("the key is none in PEM") == 0);
  CHECK(problem(authority.certificate, authority.certificate).find("the key is none in PEM") == 0);
  CHECK(problem(authority.certificate, other.key).find("not the certificate's: key values mismatch") !=
        std::string::npos);
  CHECK(problem(server.certificate, server.key).find("may not sign") != std::string::npos);
}

TEST_CASE("a key that is encrypted is refused and nobody is asked") {
  const CertifiedKey authority = made_authority();
  const auto key = parse_key(authority.key);
  const std::unique_ptr<BIO, int (*)(BIO*)> buffer(BIO_new(BIO_s_mem()), BIO_free);
  char password[] = "secret";
  REQUIRE(PEM_write_bio_PKCS8PrivateKey(buffer.get(), key.get(), EVP_aes_256_cbc(), password, 6, nullptr,
                                        nullptr) == 1);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(buffer.get(), &bytes);
  const auto read =
      CertificateAuthority::read(authority.certificate, std::string(bytes, static_cast<size_t>(size)));
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().detail.find("encrypted") != std::string::npos);
}

TEST_CASE("what OpenSSL refuses is an error with its reason") {
  const CertifiedKey authority = made_authority();
  CertificateRequest request = kServerRequest;
  request.common_name = std::string(65, 'n');
  CHECK(refused(authority, request).find("string too long") != std::string::npos);
  request = kServerRequest;
  request.names.push_back({Kind::kIp, "no address"});
  CHECK(refused(authority, request).find("the name no address cannot be added") == 0);
  CHECK_FALSE(CertificateAuthority::make("\xff", {kNow, kYear}).has_value());
  request = kServerRequest;
  request.common_name.clear();
  signed_by(authority, request);  // it is named by its other names
}
