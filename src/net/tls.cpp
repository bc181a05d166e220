// See tls.hpp.
#include "net/tls.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <uv.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "net/address.hpp"
#include "net/openssl.hpp"

namespace kvd::net {
namespace {

constexpr const char* kCipherSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
// Of finite fields none: the largest keep a turn of the loop busy for longer than all of its handshakes may. The first
// list is for a library that knows the hybrid one, which is safe from a quantum computer.
constexpr const char* kGroups[] = {"X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"};
// How a host is looked for in a certificate: among its alternative names alone.
constexpr unsigned int kHostFlags =
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
constexpr size_t kNamesBytes = 300;  // of whom nobody believes, for a line of the log
// Each makes the other side compute: who asks for more of them than this in a minute wants nothing but that.
constexpr int kKeyUpdatesMax = 64;
constexpr uint64_t kKeyUpdatesNs = 60'000'000'000;

using openssl::Certificate;
using openssl::Names;
using openssl::no_password;
using openssl::Owned;
using openssl::take_reason;

std::string with_kind(const char* kind, const ASN1_STRING* text) {
  std::string name = kind;
  name.append(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
              static_cast<size_t>(ASN1_STRING_length(text)));
  return name;
}

std::string address_name(const ASN1_STRING* bytes) {
  const int size = ASN1_STRING_length(bytes);
  if (size != 4 && size != 16) return {};
  char text[64] = "";
  uv_inet_ntop(size == 16 ? AF_INET6 : AF_INET, ASN1_STRING_get0_data(bytes), text, sizeof text);
  return std::string("ip:") + text;
}

std::string text_of(const GENERAL_NAME& name) {
  switch (name.type) {
    case GEN_DNS:
      return with_kind("dns:", name.d.dNSName);
    case GEN_URI:
      return with_kind("uri:", name.d.uniformResourceIdentifier);
    case GEN_EMAIL:
      return with_kind("email:", name.d.rfc822Name);
    case GEN_IPADD:
      return address_name(name.d.iPAddress);
    default:
      return {};
  }
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  if (certificate == nullptr) return names;
  const Names found(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(found.get()); ++i) {
    std::string name = text_of(*sk_GENERAL_NAME_value(found.get(), i));
    // One with a NUL inside would be another name to whoever reads it up to there.
    if (!name.empty() && name.find('\0') == std::string::npos) names.push_back(std::move(name));
  }
  return names;
}

// ---- the way in and out: memory that is lent for the time of one call ----

struct Lent {
  std::string_view in;
  std::string* out = nullptr;
};

int take_in(BIO* bio, char* to, int size) {
  auto* lent = static_cast<Lent*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (lent->in.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const size_t taken = std::min(lent->in.size(), static_cast<size_t>(size));
  std::memcpy(to, lent->in.data(), taken);
  lent->in.remove_prefix(taken);
  return static_cast<int>(taken);
}

int give_out(BIO* bio, const char* from, int size) {
  static_cast<Lent*>(BIO_get_data(bio))->out->append(from, static_cast<size_t>(size));
  return size;
}

long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int made(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO* bio_of(Lent* lent) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* it = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lent memory");
    BIO_meth_set_read(it, take_in);
    BIO_meth_set_write(it, give_out);
    BIO_meth_set_ctrl(it, control);
    BIO_meth_set_create(it, made);
    return it;
  }();
  BIO* bio = BIO_new(method);
  BIO_set_data(bio, lent);
  return bio;
}

// Of calls before, which would be taken for those of the next one. There hardly are any, and to clear sixteen places is
// dearer than to look.
void forget_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

// ---- files ----

Failure<Error> problem(const std::string& file, const std::string& what) {
  return failure(file + ": " + what);
}

// Of the protocols that the other side speaks, its list being as in RFC 7301, the one that is spoken here.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned int offered_size, void* protocol) {
  const std::string_view own = *static_cast<const std::string*>(protocol);
  for (unsigned int at = 0; at < offered_size; at += 1U + offered[at]) {
    if (own != std::string_view(reinterpret_cast<const char*>(offered + at + 1), offered[at])) continue;
    *chosen = offered + at + 1;
    *size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Called for each certificate of a chain: of one that is not believed the names are kept, for whoever is told of it.
int note_refused(int believed, X509_STORE_CTX* store) {
  if (believed == 1) return 1;
  const auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* refused = static_cast<std::string*>(SSL_get_app_data(ssl));
  *refused =
      fmt::format("{}", fmt::join(names_of(X509_STORE_CTX_get0_cert(store)), ", ")).substr(0, kNamesBytes);
  return 0;
}

}  // namespace

struct TlsContext::Native {
  Owned<SSL_CTX, SSL_CTX_free> context;
  std::string protocol;

  Result<void> show(const TlsFiles& files);
  Result<void> believe(const TlsFiles& files, Side side);
  Result<void> check_own(const TlsFiles& files) const;
  void speak(Side side);
};

Result<void> TlsContext::Native::show(const TlsFiles& files) {
  if (files.certificate.empty()) return {};
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1)
    return problem(files.certificate, "no certificate in PEM: " + take_reason());
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1)
    return problem(files.key, "no private key in PEM for the certificate in " + files.certificate + ": " +
                                  take_reason());
  return {};
}

Result<void> TlsContext::Native::believe(const TlsFiles& files, Side side) {
  const bool server = side == Side::kServer;
  if (files.authorities.empty()) {
    if (!server) SSL_CTX_set_default_verify_paths(context.get());
  } else if (SSL_CTX_load_verify_file(context.get(), files.authorities.c_str()) != 1) {
    return problem(files.authorities, "no certificates in PEM: " + take_reason());
  } else if (server) {
    SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(files.authorities.c_str()));
  }
  const int asks = server && files.authorities.empty() ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
  SSL_CTX_set_verify(context.get(), asks | (files.needs_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     note_refused);
  return {};
}

// So that a server with a certificate of no use does not start, rather than to be refused by all others.
Result<void> TlsContext::Native::check_own(const TlsFiles& files) const {
  X509* own = SSL_CTX_get0_certificate(context.get());
  STACK_OF(X509)* above = nullptr;
  SSL_CTX_get0_chain_certs(context.get(), &above);
  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    const Owned<X509_STORE_CTX, X509_STORE_CTX_free> check(X509_STORE_CTX_new());
    if (!check || X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context.get()), own, above) != 1)
      return failure(take_reason());
    X509_STORE_CTX_set_purpose(check.get(), purpose);
    if (X509_verify_cert(check.get()) != 1)
      return problem(files.certificate,
                     fmt::format("the others would not believe it, as a {}'s: {}",
                                 purpose == X509_PURPOSE_SSL_SERVER ? "server" : "client",
                                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()))));
  }
  const bool address = SocketAddress::from_literal(files.own_host, 0).has_value();
  const int named = address ? X509_check_ip_asc(own, files.own_host.c_str(), 0)
                            : X509_check_host(own, files.own_host.c_str(), 0, kHostFlags, nullptr);
  if (named == 1) return {};
  return problem(files.certificate,
                 fmt::format("it does not name {}, by which the others reach this server (it names {})",
                             files.own_host, fmt::join(names_of(own), ", ")));
}

void TlsContext::Native::speak(Side side) {
  SSL_CTX* to = context.get();
  SSL_CTX_set_min_proto_version(to, TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(to, kCipherSuites);
  for (const char* groups : kGroups) {
    if (SSL_CTX_set1_groups_list(to, groups) == 1) break;
  }
  SSL_CTX_set_options(to, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(to, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_num_tickets(to, 1);
  SSL_CTX_set_session_cache_mode(to, SSL_SESS_CACHE_OFF);  // what is resumed is all in the ticket
  static constexpr unsigned char kSessions[] = {'k', 'v', 'd'};
  SSL_CTX_set_session_id_context(to, kSessions, sizeof kSessions);
  if (side == Side::kServer) return SSL_CTX_set_alpn_select_cb(to, choose_protocol, &protocol);
  std::string list(1, static_cast<char>(protocol.size()));
  list += protocol;
  SSL_CTX_set_alpn_protos(to, reinterpret_cast<const unsigned char*>(list.data()),
                          static_cast<unsigned>(list.size()));
}

TlsContext::TlsContext() : native_(new Native) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<const TlsContext>> TlsContext::load(Side side, const TlsFiles& files) {
  ERR_clear_error();
  std::shared_ptr<TlsContext> made(new TlsContext);
  made->side_ = side;
  Native& native = *made->native_;
  native.protocol = files.protocol;
  native.context.reset(SSL_CTX_new(side == Side::kServer ? TLS_server_method() : TLS_client_method()));
  if (!native.context) return failure(take_reason());
  SSL_CTX_set_default_passwd_cb(native.context.get(), no_password);
  if (const auto shown = native.show(files); !shown) return Failure<Error>(shown.error());
  if (const auto believed = native.believe(files, side); !believed) return Failure<Error>(believed.error());
  if (!files.apart_from.empty() && !files.authorities.empty()) {
    const auto shared = share_certificate(files.authorities, files.apart_from);
    if (!shared) return Failure<Error>(shared.error());
    if (*shared)
      return failure(fmt::format(
          "{} and {} have a certificate in common: whoever it signs for as a client could be a server",
          files.authorities, files.apart_from));
  }
  if (!files.own_host.empty()) {
    if (const auto checked = native.check_own(files); !checked) return Failure<Error>(checked.error());
  }
  native.speak(side);
  if (const X509* own = SSL_CTX_get0_certificate(native.context.get())) {
    tm until{};
    ASN1_TIME_to_tm(X509_get0_notAfter(own), &until);
    made->expires_ = timegm(&until);
    const openssl::Number number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(own), nullptr));
    char* const text = BN_bn2hex(number.get());
    made->serial_ = text;
    OPENSSL_free(text);
  }
  return made;
}

Result<bool> share_certificate(const std::string& one, const std::string& other) {
  std::vector<std::vector<Certificate>> found;
  for (const std::string& file : {one, other}) {
    const openssl::Buffer in(BIO_new_file(file.c_str(), "r"));
    if (!in) return problem(file, take_reason());
    auto& certificates = found.emplace_back();
    while (X509* next = PEM_read_bio_X509(in.get(), nullptr, no_password, nullptr))
      certificates.emplace_back(next);
    ERR_clear_error();  // its end
    if (certificates.empty()) return problem(file, "no certificates in PEM");
  }
  for (const Certificate& a : found[0]) {
    for (const Certificate& b : found[1]) {
      if (X509_cmp(a.get(), b.get()) == 0) return true;
    }
  }
  return false;
}

// ---- a connection ----

namespace {

// Alerts of who has looked at this side's certificate (RFC 8446, 6.2), as the library numbers them.
bool is_refusal(int reason) {
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return true;
    default:
      return false;
  }
}

}  // namespace

struct TlsSession::Native {
  std::shared_ptr<const TlsContext> context;
  Owned<SSL, SSL_free> ssl;
  Lent lent;
  std::string refused;  // names of the certificate that is not believed
  int key_updates = 0;  // asked for by the other side, since:
  uint64_t counted_since = uv_hrtime();

  explicit Native(std::shared_ptr<const TlsContext> of) : context(std::move(of)) {
    ssl.reset(SSL_new(context->native_->context.get()));
    CHECK(ssl != nullptr);
    BIO* bio = bio_of(&lent);
    SSL_set_bio(ssl.get(), bio, bio);  // which owns it
    SSL_set_app_data(ssl.get(), &refused);
    SSL_set_msg_callback(ssl.get(), count_updates);
    SSL_set_msg_callback_arg(ssl.get(), this);
  }
  static void count_updates(int sent, int, int kind, const void* bytes, size_t size, SSL*, void* self) {
    const bool update = sent == 0 && kind == SSL3_RT_HANDSHAKE && size > 0 &&
                        *static_cast<const unsigned char*>(bytes) == SSL3_MT_KEY_UPDATE;
    if (update) ++static_cast<Native*>(self)->key_updates;
  }
};

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context) : native_(new Native(std::move(context))) {
  CHECK(native_->context->side_ == TlsContext::Side::kServer);
  SSL_set_accept_state(native_->ssl.get());
}

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context, const std::string& host)
    : native_(new Native(std::move(context))) {
  CHECK(native_->context->side_ == TlsContext::Side::kClient);
  SSL* ssl = native_->ssl.get();
  SSL_set_connect_state(ssl);
  SSL_set_hostflags(ssl, kHostFlags);
  if (SocketAddress::from_literal(host, 0)) {
    const std::string address = host.substr(0, host.find('%'));  // no certificate names a zone
    CHECK(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address.c_str()) == 1);
  } else {
    CHECK(SSL_set1_host(ssl, host.c_str()) == 1);
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
}

TlsSession::~TlsSession() = default;
TlsSession::TlsSession(TlsSession&&) noexcept = default;

bool TlsSession::is_client() const { return native_->context->side_ == TlsContext::Side::kClient; }

void TlsSession::fail(const char* doing, int result) {
  state_ = State::kFailed;
  SSL* ssl = native_->ssl.get();
  const int kind = SSL_get_error(ssl, result);
  const long verdict = SSL_get_verify_result(ssl);
  failure_ = std::string(doing) + ": ";
  was_refused_ = kind == SSL_ERROR_SSL && is_refusal(ERR_GET_REASON(ERR_peek_error()));
  const std::string words = take_reason();
  if (kind == SSL_ERROR_SSL && verdict != X509_V_OK) {
    failure_ += fmt::format("the certificate of {} is not believed: {}",
                            native_->refused.empty() ? "the other side" : native_->refused,
                            X509_verify_cert_error_string(verdict));
  } else {
    failure_ += words;
  }
}

TlsSession::State TlsSession::advance(std::string_view& in, std::string& out) {
  CHECK(state_ == State::kHandshake);
  native_->lent = {in, &out};
  forget_errors();
  const int result = SSL_do_handshake(native_->ssl.get());
  in = native_->lent.in;
  if (result == 1) {
    state_ = State::kOpen;
  } else if (SSL_get_error(native_->ssl.get(), result) != SSL_ERROR_WANT_READ) {
    fail("no TLS 1.3 between these two", result);
  }
  return state_;
}

std::vector<std::string> TlsSession::names() const {
  const Certificate theirs(SSL_get1_peer_certificate(native_->ssl.get()));
  return names_of(theirs.get());
}

bool TlsSession::too_many_updates() {
  if (native_->key_updates <= kKeyUpdatesMax) return false;
  const uint64_t now = uv_hrtime();
  if (now - native_->counted_since <= kKeyUpdatesNs) return true;
  native_->counted_since = now;
  native_->key_updates = 0;
  return false;
}

size_t TlsSession::read(std::string_view& in, std::span<char> to, std::string& out) {
  CHECK(state_ == State::kOpen);
  native_->lent = {in, &out};
  size_t got = 0;
  while (got < to.size()) {
    forget_errors();
    size_t some = 0;
    const int result = SSL_read_ex(native_->ssl.get(), to.data() + got, to.size() - got, &some);
    got += some;
    if (too_many_updates()) {
      state_ = State::kFailed;
      failure_ = "the other side changes its keys too often";
      break;
    }
    // Asking once more only to hear that nothing is left would cost a sixth of a small request.
    if (result == 1 && native_->lent.in.empty() && SSL_has_pending(native_->ssl.get()) == 0) break;
    if (result == 1) continue;
    const int kind = SSL_get_error(native_->ssl.get(), result);
    if (kind == SSL_ERROR_ZERO_RETURN) state_ = State::kEnded;
    if (kind != SSL_ERROR_ZERO_RETURN && kind != SSL_ERROR_WANT_READ)
      fail("the connection is broken", result);
    break;
  }
  in = native_->lent.in;
  return got;
}

void TlsSession::write(std::string_view plain, std::string& out) {
  CHECK(state_ == State::kOpen || state_ == State::kEnded);
  native_->lent = {{}, &out};
  forget_errors();
  size_t written = 0;
  const int result = SSL_write_ex(native_->ssl.get(), plain.data(), plain.size(), &written);
  // Memory takes everything: what fails here has failed before.
  if (result != 1) fail("the connection is broken", result);
}

void TlsSession::end(std::string& out) {
  if (state_ != State::kOpen && state_ != State::kEnded) return;
  native_->lent = {{}, &out};
  ERR_clear_error();
  SSL_shutdown(native_->ssl.get());
  ERR_clear_error();
}

}  // namespace kvd::net
