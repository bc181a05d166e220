// TLS sessions as values: two of them, and the bytes between them carried by the test. Who is believed, and what
// whoever is not is told.
#include <doctest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tls_fixture.hpp"

using namespace kvd;
using namespace kvd::testing;
using net::TlsContext;
using net::TlsFiles;
using net::TlsSession;
using State = TlsSession::State;

namespace {

struct Pair {
  Pair(std::shared_ptr<const TlsContext> server_context, std::shared_ptr<const TlsContext> client_context,
       const std::string& host = "kvd1.example")
      : server(std::move(server_context)), client(std::move(client_context), host) {}

  // Until nobody has anything to say. So many bytes at a time are carried.
  void shake_hands(size_t at_once = SIZE_MAX) {
    step(client, std::string(), to_server);
    while (!to_server.empty() || !to_client.empty()) {
      carry(to_server, at_once, server, to_client);
      carry(to_client, at_once, client, to_server);
    }
  }
  // What the other one reads of it.
  std::string say(TlsSession& from, TlsSession& to, const std::string& text, size_t at_once = SIZE_MAX) {
    std::string wire, back, heard;
    from.write(text, wire);
    for (size_t at = 0; at < wire.size(); at += std::min(at_once, wire.size() - at))
      heard += read(to, std::string_view(wire).substr(at, at_once), back);
    return heard;
  }
  static std::string read(TlsSession& session, std::string_view bytes, std::string& out) {
    std::string heard;
    char buffer[1000];
    size_t got = sizeof buffer;
    while (got == sizeof buffer && session.state() == State::kOpen) {
      got = session.read(bytes, buffer, out);
      heard.append(buffer, got);
    }
    return heard;
  }

  TlsSession server, client;
  std::string to_server, to_client;
  std::string heard_by_server;

 private:
  void carry(std::string& from, size_t at_once, TlsSession& to, std::string& back) {
    const std::string some = from.substr(0, at_once);
    from.erase(0, some.size());
    if (!some.empty()) step(to, some, back);
  }
  void step(TlsSession& session, const std::string& bytes, std::string& out) {
    std::string_view in = bytes;
    if (session.state() == State::kHandshake) session.advance(in, out);
    if (session.state() == State::kOpen && !in.empty()) read(session, in, out);
  }
};

struct Hosts : TestAuthority {
  Hosts() {
    sign({"kvd1.example", "10.0.0.1"});
    sign({"kvd2.example"});
  }
};

}  // namespace

TEST_CASE_FIXTURE(Hosts, "two sessions shake hands, however the bytes come, and talk") {
  for (const size_t at_once : {size_t{1}, size_t{7}, size_t{1000}, SIZE_MAX}) {
    Pair pair(server("kvd1.example", true), client("kvd2.example"));
    pair.shake_hands(at_once);
    REQUIRE(pair.server.state() == State::kOpen);
    REQUIRE(pair.client.state() == State::kOpen);
    CHECK(pair.client.names() == std::vector<std::string>{"dns:kvd1.example", "ip:10.0.0.1"});
    CHECK(pair.server.names() == std::vector<std::string>{"dns:kvd2.example"});
    const std::string large(50'000, 'x');
    CHECK(pair.say(pair.client, pair.server, "question", at_once) == "question");
    CHECK(pair.say(pair.server, pair.client, large, at_once) == large);
  }
}

TEST_CASE_FIXTURE(Hosts, "an address is a name, too, and a client may show nothing") {
  Pair pair(server("kvd1.example"), client(), "10.0.0.1");
  pair.shake_hands();
  CHECK(pair.client.state() == State::kOpen);
  CHECK(pair.server.names().empty());
}

TEST_CASE_FIXTURE(Hosts, "the end is told by who has no more to say, and the other one may go on") {
  Pair pair(server("kvd1.example"), client());
  pair.shake_hands();
  std::string wire, back;
  pair.client.write("last words", wire);
  pair.client.end(wire);
  CHECK(Pair::read(pair.server, wire, back) == "last words");
  CHECK(pair.server.state() == State::kEnded);
  CHECK(pair.say(pair.server, pair.client, "answer") == "answer");
}

TEST_CASE_FIXTURE(Hosts, "who is not believed, and why") {
  TestAuthority others;
  others.sign({"kvd1.example"});
  others.sign({"kvd2.example"});
  SUBCASE("a server of another authority") {
    Pair pair(others.server("kvd1.example"), client());
    pair.shake_hands();
    CHECK(pair.client.state() == State::kFailed);
    CHECK(pair.client.failure().find("the certificate of dns:kvd1.example is not believed: ") !=
          std::string::npos);
    CHECK(pair.server.state() == State::kFailed);  // it was told
  }
  SUBCASE("a server of another name") {
    Pair pair(server("kvd2.example"), client());
    pair.shake_hands();
    CHECK(pair.client.state() == State::kFailed);
    CHECK(pair.client.failure().find("hostname mismatch") != std::string::npos);
  }
  SUBCASE("a server of another address") {
    Pair pair(server("kvd1.example"), client(), "10.0.0.2");
    pair.shake_hands();
    CHECK(pair.client.failure().find("IP address mismatch") != std::string::npos);
  }
  SUBCASE("whose certificate is over") {
    sign({"old.example"}, net::CertificateUse::kPeer, -60);
    Pair as_server(server("old.example"), client(), "old.example");
    as_server.shake_hands();
    CHECK(as_server.client.failure().find("certificate has expired") != std::string::npos);
    Pair as_client(server("kvd1.example", true), client("old.example"));
    as_client.shake_hands();
    CHECK(as_client.server.failure().find("certificate has expired") != std::string::npos);
    CHECK(as_client.client.was_refused());
  }
  SUBCASE("a client of another authority") {
    Pair pair(server("kvd1.example", true), others.client("kvd2.example"));
    pair.shake_hands();
    CHECK(pair.client.state() == State::kFailed);  // it does not believe the server either
    CHECK(pair.server.state() == State::kFailed);
  }
  SUBCASE("a client of another authority that believes the server") {
    TlsFiles files = others.files("kvd2.example");
    files.authorities = path("ca.crt");
    Pair pair(server("kvd1.example", true), loaded(TlsContext::Side::kClient, files));
    pair.shake_hands();
    CHECK(pair.server.state() == State::kFailed);
    CHECK(pair.server.failure().find("the certificate of dns:kvd2.example is not believed: ") !=
          std::string::npos);
    CHECK(pair.client.state() == State::kFailed);  // once its handshake was over
    CHECK(pair.client.failure().find("unknown ca") != std::string::npos);
  }
  SUBCASE("a client that shows nothing where a certificate is needed") {
    Pair pair(server("kvd1.example", true), client());
    pair.shake_hands();
    CHECK(pair.server.state() == State::kFailed);
    CHECK(pair.client.failure().find("certificate required") != std::string::npos);
    CHECK(pair.client.was_refused());
    CHECK_FALSE(pair.server.was_refused());
  }
  SUBCASE("a client's certificate at a server, and a server's at a client") {
    sign({"app.example"}, net::CertificateUse::kClient);
    sign({"web.example"}, net::CertificateUse::kServer);
    Pair as_server(server("app.example"), client(), "app.example");
    as_server.shake_hands();
    CHECK(as_server.client.failure().find("unsuitable certificate purpose") != std::string::npos);
    Pair as_client(server("kvd1.example", true), client("web.example"));
    as_client.shake_hands();
    CHECK(as_client.server.failure().find("unsuitable certificate purpose") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Hosts, "what was changed on the way is noticed, and so is what is no TLS") {
  Pair pair(server("kvd1.example"), client());
  pair.shake_hands();
  std::string wire, back;
  pair.client.write("a text of some length", wire);
  wire[wire.size() / 2] ^= 1;
  CHECK(Pair::read(pair.server, wire, back).empty());
  CHECK(pair.server.state() == State::kFailed);
  CHECK_FALSE(back.empty());

  TlsSession second(server("kvd1.example"));
  std::string_view plain = "GET / HTTP/1.1\r\n\r\n";
  CHECK(second.advance(plain, back) == State::kFailed);
  CHECK_FALSE(second.failure().empty());
}

namespace {

// A client that changes its keys whenever the test wants: the library by hand, which TlsSession does not let do that.
class Restless {
 public:
  explicit Restless(TlsSession& server)
      : server_(server),
        context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        ssl_(SSL_new(context_.get()), SSL_free) {
    SSL_set_bio(ssl_.get(), in_ = BIO_new(BIO_s_mem()), out_ = BIO_new(BIO_s_mem()));
    while (SSL_connect(ssl_.get()) != 1) exchange();
    exchange();
  }
  void change_keys() {
    REQUIRE(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
    REQUIRE(SSL_write(ssl_.get(), "x", 1) == 1);
    exchange();
  }
  std::string heard;  // by the server

 private:
  void exchange() {
    char bytes[16384];
    const int size = BIO_read(out_, bytes, sizeof bytes);
    std::string_view wire(bytes, static_cast<size_t>(std::max(size, 0)));
    std::string back;
    if (server_.state() == State::kHandshake) server_.advance(wire, back);
    if (server_.state() == State::kOpen && !wire.empty()) heard += Pair::read(server_, wire, back);
    if (!back.empty()) BIO_write(in_, back.data(), static_cast<int>(back.size()));
  }

  TlsSession& server_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  BIO* in_ = nullptr;  // the session's own
  BIO* out_ = nullptr;
};

}  // namespace

TEST_CASE_FIXTURE(Hosts, "keys may be changed now and then, and no more") {
  TlsSession session(server("kvd1.example"));
  Restless client(session);
  REQUIRE(session.state() == State::kOpen);
  for (int i = 0; i < 60; ++i) client.change_keys();
  CHECK(session.state() == State::kOpen);
  CHECK(client.heard == std::string(60, 'x'));
  for (int i = 0; i < 10 && session.state() == State::kOpen; ++i) client.change_keys();
  CHECK(session.state() == State::kFailed);
  CHECK(session.failure() == "the other side changes its keys too often");
}

TEST_CASE_FIXTURE(Hosts, "both have to speak the same protocol inside") {
  TlsFiles files = TestAuthority::files("");
  files.protocol = "kvd-peer";
  Pair pair(server("kvd1.example"), loaded(TlsContext::Side::kClient, files));
  pair.shake_hands();
  CHECK(pair.server.state() == State::kFailed);
  CHECK(pair.client.failure().find("no application protocol") != std::string::npos);
}

TEST_CASE_FIXTURE(Hosts, "files that are none of what they should be are named") {
  const auto refused = [](TlsFiles files) {
    const auto context = TlsContext::load(TlsContext::Side::kServer, files);
    return context ? std::string() : context.error().detail;
  };
  const TlsFiles good = TestAuthority::files("kvd1.example");
  CHECK(refused(good).empty());
  TlsFiles files = good;
  files.certificate = path("nothing");
  CHECK(refused(files).find("nothing: ") == path("").size());
  files = good;
  files.key = path("kvd2.example.key");
  CHECK(refused(files).find("kvd2.example.key: no private key") != std::string::npos);
  files.key = path("ca.crt");
  CHECK(refused(files).find("ca.crt: no private key") != std::string::npos);
  files = good;
  files.authorities = path("kvd1.example.key");
  CHECK(refused(files).find("kvd1.example.key: no certificates") != std::string::npos);
}

TEST_CASE_FIXTURE(Hosts, "a server's own certificate has to be one that the others believe, and to name it") {
  sign({"web.example"}, net::CertificateUse::kServer);
  const TestAuthority others;
  const auto refused = [&](const std::string& shown, const std::string& host, const TestAuthority& by) {
    TlsFiles files = TestAuthority::files(shown);
    files.authorities = by.path("ca.crt");
    files.own_host = host;
    const auto context = TlsContext::load(TlsContext::Side::kServer, files);
    return context ? std::string() : context.error().detail;
  };
  CHECK(refused("kvd1.example", "kvd1.example", *this).empty());
  CHECK(refused("kvd1.example", "10.0.0.1", *this).empty());
  CHECK(refused("kvd1.example", "10.0.0.2", *this).find("it does not name 10.0.0.2") != std::string::npos);
  CHECK(refused("kvd1.example", "kvd2.example", *this).find("names dns:kvd1.example, ip:10.0.0.1") !=
        std::string::npos);
  CHECK(refused("kvd1.example", "kvd1.example", others).find("would not believe it") != std::string::npos);
  CHECK(refused("web.example", "web.example", *this).find("as a client's") != std::string::npos);
}

TEST_CASE_FIXTURE(Hosts, "authorities that have to be apart are refused where they share one") {
  const TestAuthority others;
  TlsFiles files = TestAuthority::files("kvd1.example");
  files.apart_from = others.path("ca.crt");
  CHECK(TlsContext::load(TlsContext::Side::kServer, files).has_value());
  files.apart_from = path("ca.crt");
  const auto shared = TlsContext::load(TlsContext::Side::kServer, files);
  REQUIRE_FALSE(shared.has_value());
  CHECK(shared.error().detail.find("have a certificate in common") != std::string::npos);
}

TEST_CASE_FIXTURE(Hosts, "a context tells of its own certificate, and two files whether they share one") {
  const auto context = server("kvd1.example");
  CHECK(context->expires() > 0);
  CHECK(context->serial() != server("kvd2.example")->serial());
  CHECK(client()->expires() == 0);
  const TestAuthority others;
  CHECK(*net::share_certificate(path("ca.crt"), path("ca.crt")));
  CHECK_FALSE(*net::share_certificate(path("ca.crt"), others.path("ca.crt")));
  CHECK_FALSE(net::share_certificate(path("ca.crt"), path("ca.key")).has_value());
}
