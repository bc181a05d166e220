// See server.hpp.
#include "client/server.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "client/input.hpp"
#include "msg/access.hpp"
#include "msg/znodes.hpp"

namespace kvd::client {
namespace {

constexpr std::string_view kUnix = "unix:", kHttp = "http://", kHttps = "https://";

std::string host_of(const Server& server) {
  return server.socket.empty() ? format_address(server.address) : "localhost";
}

// The one line of --token-file, which no complaint shows.
std::string read_token(CommandLine& line) {
  const std::string path = line.text("token-file", "");
  if (path.empty()) return "";
  const auto content = read_input({InputSource::Kind::kFile, path});
  if (!content) {
    line.complain_of("no token", content.error().text);
    return "";
  }
  const auto token = parse_token(std::string_view(*content).substr(0, content->find_last_not_of("\r\n") + 1));
  if (!token) line.complain_of("no token", path + ": give a file with one line, kvd_ID_SECRET");
  return token ? token->text() : "";
}

}  // namespace

Result<Server> parse_server(const std::string& text) {
  Server server;
  if (text.starts_with(kUnix)) {
    server.socket = text.substr(kUnix.size());
    if (server.socket.empty()) return failure("unix: without a path");
    return server;
  }
  server.https = text.starts_with(kHttps);
  const size_t scheme = server.https ? kHttps.size() : text.starts_with(kHttp) ? kHttp.size() : 0;
  auto address = parse_address(text.substr(scheme));
  if (!address) return Failure<Error>(address.error());
  server.address = std::move(*address);
  server.certified = server.address.host;
  return server;
}

std::vector<FlagSpec> credential_flags() {
  return {{"cacert", "FILE", "whose certificates are believed of https:// servers, PEM (the system's)",
           "KVD_CACERT"},
          {"cert", "FILE", "the certificate that is shown to them, PEM (none)", "KVD_CERT"},
          {"key", "FILE", "its private key, PEM", "KVD_KEY"},
          {"token-file", "FILE", "whose one line is the token that is shown to servers (none)",
           "KVD_TOKEN_FILE"}};
}

Credentials read_credentials(CommandLine& line) {
  Credentials credentials{{}, read_token(line)};
  net::TlsFiles& files = credentials.tls;
  files.authorities = line.text("cacert", "");
  files.certificate = line.text("cert", "");
  files.key = line.text("key", "");
  if (files.certificate.empty() != files.key.empty())
    line.complain(files.key.empty() ? "cert" : "key",
                  "a certificate and its private key go together: give both");
  return credentials;
}

Result<void> give_credentials(std::vector<Server>& servers, const Credentials& credentials) {
  std::shared_ptr<const net::TlsContext> context;
  for (Server& server : servers) {
    server.token = credentials.token;
    if (!server.https) continue;
    if (!context) {
      auto loaded = net::TlsContext::load(net::TlsContext::Side::kClient, credentials.tls);
      if (!loaded) return Failure<Error>(loaded.error());
      context = std::move(*loaded);
    }
    server.tls = context;
  }
  return {};
}

std::string name_of(const Server& server) {
  if (!server.socket.empty()) return std::string(kUnix) + server.socket;
  return std::string(server.https ? kHttps : "") + host_of(server);
}

std::string fields_of(const Server& server) {
  std::string fields = fmt::format("Host: {}\r\n", host_of(server));
  if (!server.token.empty()) fields += fmt::format("Authorization: Bearer {}\r\n", server.token);
  return fields;
}

}  // namespace kvd::client
