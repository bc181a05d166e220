// The command lines of kvd cert: which names are taken and in which form, and what is refused. That every refusal
// names what it is about.
#include "client/cert_options.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client_options_fixture.hpp"

using namespace kvd;
using namespace kvd::client;
using namespace kvd::client_options_test;

namespace {

using net::AlternativeName;
using Kind = AlternativeName::Kind;
using Names = std::vector<AlternativeName>;

template <class Options>
Options cert(std::vector<std::string> arguments) {
  const CertCommand command = good<CertCommand>("cert", std::move(arguments));
  REQUIRE(std::holds_alternative<Options>(command));
  return std::get<Options>(command);
}

}  // namespace

TEST_CASE("authorities") {
  const auto options = cert<CreateCaOptions>({"create-ca"});
  CHECK(options.directory == "certs");
  CHECK(options.name == "kvd");
  const auto all = cert<CreateCaOptions>({"create-ca", "--dir", "d", "--name", "Söme where"});
  CHECK(all.directory == "d");
  CHECK(all.name == "Söme where");
  bad("cert", {"create-ca", "--name", std::string(49, 'n')}, "--name ", "48 bytes");
  bad("cert", {"create-ca", "--name", "a\x01"}, "--name ", "control characters");
  bad("cert", {"create-ca", "--name", "\xff"}, "--name ", "UTF-8");
  bad("cert", {"create-ca", "more"}, "more: ", "not expected");
  bad("cert", {"create-ca", "--days", "3"}, "--days: ", "no such flag");
}

TEST_CASE("a server's names") {
  const auto options = cert<CreateServerOptions>({"create-server", "KVD1.Example", "10.0.0.5"});
  CHECK(options.directory == "certs");
  CHECK(options.days == 365);
  CHECK(options.hosts == Names{{Kind::kDns, "kvd1.example"}, {Kind::kIp, "10.0.0.5"}});
  // Equal ones are one.
  const auto equal =
      cert<CreateServerOptions>({"create-server", "localhost", "LOCALHOST", "::1", "0:0::1", "--days", "9"});
  CHECK(equal.hosts == Names{{Kind::kDns, "localhost"}, {Kind::kIp, "::1"}});
  CHECK(equal.days == 9);
  for (const char* host : {"a", "7a.b-c.d1", "1.example", "xn--bcher-kva.example", "localhost.localdomain"})
    CHECK(cert<CreateServerOptions>({"create-server", host}).hosts == Names{{Kind::kDns, host}});
  const std::string longest = std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c');
  CHECK(cert<CreateServerOptions>({"create-server", longest + "." + std::string(61, 'd')}).hosts.size() == 1);

  bad("cert", {"create-server"}, "HOST: ", "every name and address");
  const std::string too_long = longest + "." + std::string(62, 'd');
  const char* hosts[] = {"a..b",      ".a",        "a.",           "a-",         "a_b",
                         "*.example", "a/b",       "../a",         "a b",        "b\xc3\xbc.example",
                         "1.2.3",     "300.1.1.1", "127.1",        "0x7f",       "10.0.0.5:8001",
                         "kvd1:8001", "[::1]",     "fe80::1%eth0", "10.0.0.0/8", "a,DNS:b"};
  for (const std::string host : hosts) bad("cert", {"create-server", "good", host}, host + ": ", "DNS name");
  bad("cert", {"create-server", "--", "-a"}, "-a: ", "DNS name");
  for (const char* host : {"", "a\nb"}) bad("cert", {"create-server", host}, "HOST: ", "DNS name");
  bad("cert", {"create-server", std::string(64, 'a')}, std::string(64, 'a') + ": ", "1 to 63");
  bad("cert", {"create-server", too_long}, too_long + ": ", "DNS name");
  bad("cert", {"create-server", "a", "--days", "0"}, "--days 0: ", "1 to 3650");
  bad("cert", {"create-server", "a", "--days", "3651"}, "--days 3651: ", "1 to 3650");
}

TEST_CASE("whom a client's certificate identifies") {
  const auto options = cert<CreateClientOptions>({"create-client", "App1.Example"});
  CHECK(options.name == "App1.Example");
  CHECK(options.names == Names{{Kind::kDns, "app1.example"}});
  CHECK(options.days == 365);
  const auto all = cert<CreateClientOptions>(
      {"create-client", "Jörg at home", "--uri", "spiffe://corp/billing", "--dns", "A.example", "--email",
       "J.Smith+x@Example.ORG", "--dns", "b.example", "--dns", "a.example", "--days", "30", "--dir", "d"});
  CHECK(all.name == "Jörg at home");
  CHECK(all.directory == "d");
  CHECK(all.days == 30);
  CHECK(all.names == Names{{Kind::kDns, "a.example"},
                           {Kind::kDns, "b.example"},
                           {Kind::kUri, "spiffe://corp/billing"},
                           {Kind::kEmail, "J.Smith+x@example.org"}});
}

TEST_CASE("whom a client's certificate cannot identify") {
  bad("cert", {"create-client"}, "NAME: ", "1 to 64 bytes");
  for (const char* name : {"a/b", "../a", "a:b"})
    bad("cert", {"create-client", name, "--dns", "a"}, name, "control characters, slashes and colons");
  bad("cert", {"create-client", std::string(65, 'n'), "--dns", "a"}, std::string(65, 'n'), "1 to 64 bytes");
  for (const char* name : {"", "a\nb", "a\x7f", "\xff"})
    bad("cert", {"create-client", name, "--dns", "a"}, "NAME: ", "control characters, slashes and colons");
  bad("cert", {"create-client", "n", "--uri", "a:b\nc"}, "--uri ", "scheme");
  for (const char* name : {"someone@example.org", "10.0.0.5", "my app", "a_b"})
    bad("cert", {"create-client", name}, std::string(name) + ": ", "--dns, --uri or --email");
  for (const char* name : {"a_b", "10.0.0.5", "*.a"})
    bad("cert", {"create-client", "n", "--dns", name}, std::string("--dns ") + name, "DNS name");
  for (const char* uri :
       {"corp/billing", ":a", "a:", "1a:b", "a b:c", "spiffe://c/b d", "spiffe://c/\xc3\xbc", "a:<b>"})
    bad("cert", {"create-client", "n", "--uri", uri}, std::string("--uri ") + uri, "scheme");
  for (const char* email : {"a", "@b", "a@", "a@b@c", "a b@c", "a@b_c", "a@10.0.0.5", "<a>@b", "\xc3\xbc@b"})
    bad("cert", {"create-client", "n", "--email", email}, std::string("--email ") + email, "address");
}

TEST_CASE("what is no command of kvd cert") {
  bad("cert", {}, "cert: ", "kvd cert create-ca, kvd cert create-server, kvd cert create-client");
  bad("cert", {"create-node", "a"}, "cert create-node: ", "no such command");
  bad("cert", {"create-ca", "--servers", "a:1"}, "--servers: ", "no such flag");
}
