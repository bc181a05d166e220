// See certificates.hpp.
#include "net/certificates.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

#include "base/utc.hpp"
#include "net/openssl.hpp"

namespace kvd::net {
namespace {

constexpr int64_t kEarlierSeconds = 3600;  // clocks of other machines may be behind
constexpr int kSerialBits = 128;
constexpr char kOrganization[] = "kvd";

using openssl::Buffer;
using openssl::Certificate;
using openssl::Names;
using openssl::Number;
using openssl::Owned;

using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Extension = Owned<X509_EXTENSION, X509_EXTENSION_free>;
using Name = Owned<GENERAL_NAME, GENERAL_NAME_free>;
using Octets = Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using AsciiText = Owned<ASN1_IA5STRING, ASN1_IA5STRING_free>;

struct Span {  // of seconds since 1970, both included (RFC 5280, 4.1.2.5)
  int64_t first = 0;
  int64_t last = 0;
};

Span span_of(Lifetime lifetime) { return {lifetime.now - kEarlierSeconds, lifetime.now + lifetime.seconds}; }

Error error_of(const std::string& what) { return Error{fmt::format("{}: {}", what, openssl::take_reason())}; }

Failure<Error> failed(const std::string& what) { return Failure<Error>(error_of(what)); }

// ---- texts ----

Result<std::string> content_of(BIO* buffer) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(buffer, &bytes);
  if (size <= 0) return failed("a text cannot be made");
  return std::string(bytes, static_cast<size_t>(size));
}

Result<std::string> text_of(X509* certificate) {
  const Buffer buffer(BIO_new(BIO_s_mem()));
  if (!buffer || PEM_write_bio_X509(buffer.get(), certificate) != 1)
    return failed("the certificate cannot be written");
  return content_of(buffer.get());
}

Result<std::string> text_of(EVP_PKEY* key) {
  const Buffer buffer(BIO_new(BIO_s_mem()));
  if (!buffer || PEM_write_bio_PKCS8PrivateKey(buffer.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return failed("the key cannot be written");
  return content_of(buffer.get());
}

Buffer buffer_of(const std::string& text) {
  return Buffer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// ---- parts of a certificate ----

Result<Key> make_key() {
  Key key(EVP_EC_gen("P-256"));
  if (!key) return failed("a key cannot be made");
  return key;
}

bool set_serial(X509* certificate) {
  const Number number(BN_new());
  return number && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_span(X509* certificate, Span span) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), span.first) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), span.last) != nullptr;
}

bool add_to_name(X509_NAME* name, const char* field, const std::string& text) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool set_subject(X509* certificate, const std::string& common_name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  return add_to_name(subject, "O", kOrganization) &&
         (common_name.empty() || add_to_name(subject, "CN", common_name));
}

// `text` in the words of x509v3_config(5). What a user gives never stands in it.
bool add_extension(X509* certificate, X509* issuer, int id, const char* text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, text));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Behind the key and the issuer, of which the identifiers are made.
bool add_key_identifiers(X509* certificate, X509* issuer) {
  return add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
         add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
}

const char* text_of(CertificateUse use) {
  switch (use) {
    case CertificateUse::kServer:
      return "serverAuth";
    case CertificateUse::kPeer:
      return "serverAuth,clientAuth";
    case CertificateUse::kClient:
      return "clientAuth";
  }
  return "";
}

int type_of(AlternativeName::Kind kind) {
  switch (kind) {
    case AlternativeName::Kind::kDns:
      return GEN_DNS;
    case AlternativeName::Kind::kIp:
      return GEN_IPADD;
    case AlternativeName::Kind::kUri:
      return GEN_URI;
    case AlternativeName::Kind::kEmail:
      return GEN_EMAIL;
  }
  return GEN_DNS;
}

// Null: the library has refused it.
Name make_name(const AlternativeName& name) {
  Name made(GENERAL_NAME_new());
  if (!made) return nullptr;
  if (name.kind == AlternativeName::Kind::kIp) {
    Octets address(a2i_IPADDRESS(name.text.c_str()));
    if (!address) return nullptr;
    GENERAL_NAME_set0_value(made.get(), GEN_IPADD, address.release());
    return made;
  }
  AsciiText text(ASN1_IA5STRING_new());
  if (!text || ASN1_STRING_set(text.get(), name.text.data(), static_cast<int>(name.text.size())) != 1)
    return nullptr;
  GENERAL_NAME_set0_value(made.get(), type_of(name.kind), text.release());
  return made;
}

std::optional<Error> add_names(X509* certificate, const std::vector<AlternativeName>& names) {
  const Names all(GENERAL_NAMES_new());
  if (!all) return error_of("names cannot be added");
  for (const AlternativeName& name : names) {
    Name made = make_name(name);
    if (!made || sk_GENERAL_NAME_push(all.get(), made.get()) == 0)
      return error_of(fmt::format("the name {} cannot be added", name.text));
    made.release();
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, X509V3_ADD_DEFAULT) != 1)
    return error_of("names cannot be added");
  return std::nullopt;
}

// A certificate of that key without extensions and signature; `issuer` null: it is its own.
Result<Certificate> begin(EVP_PKEY* key, const std::string& common_name, Span span, X509* issuer) {
  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !set_serial(certificate.get()) || !set_span(certificate.get(), span) ||
      X509_set_pubkey(certificate.get(), key) != 1)
    return failed("a certificate cannot be made");
  if (!set_subject(certificate.get(), common_name))
    return failed(fmt::format("{} cannot be a certificate's name", common_name));
  const X509* named = issuer == nullptr ? certificate.get() : issuer;
  if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(named)) != 1)
    return failed("a certificate cannot be made");
  return certificate;
}

Result<CertifiedKey> finish(EVP_PKEY* key, X509* certificate, EVP_PKEY* signer, Span span) {
  // Keys of some kinds, as Ed25519, take no digest: 2 tells that this is the only one that they take.
  char digest[64] = "";
  const bool none = EVP_PKEY_get_default_digest_name(signer, digest, sizeof digest) == 2 &&
                    std::string_view(digest) == "UNDEF";
  if (X509_sign(certificate, signer, none ? nullptr : EVP_sha256()) == 0)
    return failed("the certificate cannot be signed");
  auto key_text = text_of(key);
  if (!key_text) return Failure<Error>(std::move(key_text.error()));
  auto certificate_text = text_of(certificate);
  if (!certificate_text) return Failure<Error>(std::move(certificate_text.error()));
  return CertifiedKey{std::move(*key_text), std::move(*certificate_text), span.last};
}

// ---- what is read ----

std::optional<int64_t> seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return ::timegm(&parts);
}

bool is_authority(X509* certificate) {
  return X509_check_ca(certificate) == 1 && (X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN) != 0;
}

}  // namespace

struct CertificateAuthority::State {
  Certificate certificate;
  Key key;
  Span span;
};

CertificateAuthority::CertificateAuthority(std::unique_ptr<State> state) : state_(std::move(state)) {}
CertificateAuthority::CertificateAuthority(CertificateAuthority&&) noexcept = default;
CertificateAuthority& CertificateAuthority::operator=(CertificateAuthority&&) noexcept = default;
CertificateAuthority::~CertificateAuthority() = default;

int64_t CertificateAuthority::expires() const { return state_->span.last; }

Result<CertifiedKey> CertificateAuthority::make(const std::string& common_name, Lifetime lifetime) {
  const Span span = span_of(lifetime);
  const auto key = make_key();
  if (!key) return Failure<Error>(key.error());
  const auto certificate = begin(key->get(), common_name, span, nullptr);
  if (!certificate) return Failure<Error>(certificate.error());
  X509* made = certificate->get();
  if (!add_extension(made, made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(made, made, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_key_identifiers(made, made))
    return failed("the extensions of an authority cannot be added");
  return finish(key->get(), made, key->get(), span);
}

Result<CertificateAuthority> CertificateAuthority::read(const std::string& certificate,
                                                        const std::string& key) {
  auto state = std::make_unique<State>();
  const Buffer certificate_text = buffer_of(certificate);
  const Buffer key_text = buffer_of(key);
  if (!certificate_text || !key_text) return failed("a certificate cannot be read");
  state->certificate.reset(PEM_read_bio_X509(certificate_text.get(), nullptr, openssl::no_password, nullptr));
  if (!state->certificate) return failed("it is no certificate in PEM");
  state->key.reset(PEM_read_bio_PrivateKey(key_text.get(), nullptr, openssl::no_password, nullptr));
  if (!state->key) return failed("the key is none in PEM, or is encrypted");
  if (X509_check_private_key(state->certificate.get(), state->key.get()) != 1)
    return failed("the key is not the certificate's");
  if (!is_authority(state->certificate.get()))
    return failure("the certificate is no authority's: it may not sign others");
  const auto first = seconds_of(X509_get0_notBefore(state->certificate.get()));
  const auto last = seconds_of(X509_get0_notAfter(state->certificate.get()));
  if (!first || !last) return failed("the certificate's time cannot be read");
  state->span = {*first, *last};
  return CertificateAuthority(std::move(state));
}

Result<CertifiedKey> CertificateAuthority::sign(const CertificateRequest& request, Lifetime lifetime) const {
  if (state_->span.last <= lifetime.now)
    return failure(fmt::format("the authority has expired at {}", utc_text(state_->span.last)));
  if (state_->span.first > lifetime.now)
    return failure(fmt::format("the authority is not valid before {}", utc_text(state_->span.first)));
  Span span = span_of(lifetime);
  span = {std::max(span.first, state_->span.first), std::min(span.last, state_->span.last)};
  const auto key = make_key();
  if (!key) return Failure<Error>(key.error());
  X509* issuer = state_->certificate.get();
  const auto certificate = begin(key->get(), request.common_name, span, issuer);
  if (!certificate) return Failure<Error>(certificate.error());
  X509* made = certificate->get();
  if (!add_extension(made, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(made, issuer, NID_key_usage, "critical,digitalSignature") ||
      !add_extension(made, issuer, NID_ext_key_usage, text_of(request.use)) ||
      !add_key_identifiers(made, issuer))
    return failed("the certificate's extensions cannot be added");
  if (auto error = add_names(made, request.names)) return Failure<Error>(std::move(*error));
  return finish(key->get(), made, state_->key.get(), span);
}

}  // namespace kvd::net
