// See server.hpp.
#include "client/server.hpp"

#include <string_view>
#include <utility>

#include "msg/znodes.hpp"

namespace kvd::client {
namespace {

constexpr std::string_view kUnix = "unix:", kHttp = "http://", kHttps = "https://";

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

std::vector<FlagSpec> tls_flags() {
  return {{"cacert", "FILE", "whose certificates are believed of https:// servers, PEM (the system's)",
           "KVD_CACERT"},
          {"cert", "FILE", "the certificate that is shown to them, PEM (none)", "KVD_CERT"},
          {"key", "FILE", "its private key, PEM", "KVD_KEY"}};
}

net::TlsFiles read_tls_files(CommandLine& line) {
  net::TlsFiles files;
  files.authorities = line.text("cacert", "");
  files.certificate = line.text("cert", "");
  files.key = line.text("key", "");
  if (files.certificate.empty() != files.key.empty())
    line.complain(files.key.empty() ? "cert" : "key",
                  "a certificate and its private key go together: give both");
  return files;
}

Result<void> give_tls(std::vector<Server>& servers, const net::TlsFiles& files) {
  std::shared_ptr<const net::TlsContext> context;
  for (Server& server : servers) {
    if (!server.https) continue;
    if (!context) {
      auto loaded = net::TlsContext::load(net::TlsContext::Side::kClient, files);
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

std::string host_of(const Server& server) {
  return server.socket.empty() ? format_address(server.address) : "localhost";
}

}  // namespace kvd::client
