// See cert_command.hpp.
#include "client/cert_command.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "base/utc.hpp"
#include "client/files.hpp"
#include "client/new_files.hpp"
#include "client/output.hpp"
#include "client/say.hpp"

namespace kvd::client {
namespace {

using net::CertificateAuthority;
using net::CertificateRequest;
using net::CertificateUse;
using net::CertifiedKey;

constexpr int64_t kDaySeconds = 86'400;
constexpr int64_t kAuthorityDays = 3650;
constexpr size_t kSubjectNameBytes = 64;  // a longer host stands among the alternative names alone

// An authority: the name of its files, what is added to its own name, and what its files are for.
struct Authority {
  const char* file;
  const char* name;
  const char* certificate_use;
  const char* key_use;
};

constexpr Authority kHttpsAuthority = {"ca", "CA",
                                       "curl --cacert, and --cacert of kvd get and all other clients",
                                       "signs servers' HTTPS certificates; keep it from the servers"};
constexpr Authority kPeerAuthority = {"peer-ca", "peer CA", "kvd --peer-ca",
                                      "signs servers' peer certificates; keep it from the servers"};
constexpr Authority kClientAuthority = {"client-ca", "client CA", "kvd --client-ca",
                                        "signs clients' certificates; keep it from the servers"};
constexpr std::array kAuthorities = {kHttpsAuthority, kPeerAuthority, kClientAuthority};

// A certificate and its key: PATH.crt and PATH.key.
struct MadePair {
  std::string path;
  CertifiedKey made;
  std::string certificate_use;
  std::string key_use;
};

std::string certificate_path(const std::string& path) { return path + ".crt"; }
std::string key_path(const std::string& path) { return path + ".key"; }

std::string path_in(const std::string& directory, const std::string& name) {
  return std::filesystem::path(directory) / name;
}

int64_t seconds_since_1970() {
  return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
}

std::optional<CommandEnd> cannot_be_new(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    files.push_back(certificate_path(path));
    files.push_back(key_path(path));
  }
  if (const auto error = something_in_the_way(files)) return CommandEnd{EX_CANTCREAT, error->detail};
  return std::nullopt;
}

std::string lines_of(const std::vector<MadePair>& pairs) {
  size_t width = 0;
  for (const MadePair& pair : pairs) width = std::max(width, key_path(pair.path).size());
  std::string lines;
  for (const MadePair& pair : pairs) {
    const std::string until = "until " + utc_text(pair.made.expires);
    lines += fmt::format("{:<{}}  {}  {}\n", certificate_path(pair.path), width, until, pair.certificate_use);
    lines += fmt::format("{:<{}}  {}  {}\n", key_path(pair.path), width, until, pair.key_use);
  }
  return lines;
}

// Writes all of it, and tells what was made. The exit code.
int finish_pairs(const std::vector<MadePair>& pairs) {
  std::vector<PlannedFile> files;
  for (const MadePair& pair : pairs) {
    files.push_back({key_path(pair.path), pair.made.key, 0600});
    files.push_back({certificate_path(pair.path), pair.made.certificate, 0644});
  }
  if (const auto error = make_new_files(files)) return tell(CommandEnd{EX_CANTCREAT, error->detail});
  return print(lines_of(pairs));
}

Result<std::string, CommandEnd> content_of_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  auto content = file ? read_all(file.get()) : Result<std::string>(failure(std::strerror(errno)));
  if (!content)
    return Failure<CommandEnd>(CommandEnd{
        EX_NOINPUT, fmt::format("{}: {} (kvd cert create-ca makes it)", path, content.error().detail)});
  return std::move(*content);
}

Result<CertificateAuthority, CommandEnd> read_authority(const std::string& path) {
  const auto certificate = content_of_file(certificate_path(path));
  if (!certificate) return Failure<CommandEnd>(certificate.error());
  const auto key = content_of_file(key_path(path));
  if (!key) return Failure<CommandEnd>(key.error());
  auto authority = CertificateAuthority::read(*certificate, *key);
  if (!authority)
    return Failure<CommandEnd>(CommandEnd{EX_DATAERR, fmt::format("{} with {}: {}", certificate_path(path),
                                                                  key_path(path), authority.error().detail)});
  return std::move(*authority);
}

// What the authority whose files are there makes of the request.
Result<CertifiedKey, CommandEnd> sign_by(const std::string& directory, const Authority& by,
                                         const CertificateRequest& request, int64_t days) {
  const std::string path = path_in(directory, by.file);
  const auto authority = read_authority(path);
  if (!authority) return Failure<CommandEnd>(authority.error());
  const net::Lifetime lifetime{seconds_since_1970(), days * kDaySeconds};
  auto made = authority->sign(request, lifetime);
  if (!made)
    return Failure<CommandEnd>(
        CommandEnd{EX_DATAERR, fmt::format("{}: {}", certificate_path(path), made.error().detail)});
  if (made->expires < lifetime.now + lifetime.seconds)
    Say().line(fmt::format("{} is not valid for {} days any more, and so is nothing that it signs",
                           certificate_path(path), days));
  return std::move(*made);
}

// As identities are written: dns:app1.example.
std::string identity_of(const net::AlternativeName& name) {
  using Kind = net::AlternativeName::Kind;
  const char* kind = name.kind == Kind::kUri ? "uri" : name.kind == Kind::kEmail ? "email" : "dns";
  return fmt::format("{}:{}", kind, name.text);
}

struct CertRun {
  int operator()(const CreateCaOptions& options) const {
    std::vector<std::string> paths;
    for (const Authority& authority : kAuthorities)
      paths.push_back(path_in(options.directory, authority.file));
    if (const auto end = cannot_be_new(paths)) return tell(*end);
    std::vector<MadePair> pairs;
    for (size_t i = 0; i < kAuthorities.size(); ++i) {
      auto made = CertificateAuthority::make(fmt::format("{} {}", options.name, kAuthorities[i].name),
                                             {seconds_since_1970(), kAuthorityDays * kDaySeconds});
      if (!made) return tell(CommandEnd{EX_SOFTWARE, made.error().detail});
      pairs.push_back({paths[i], std::move(*made), kAuthorities[i].certificate_use, kAuthorities[i].key_use});
    }
    if (::mkdir(options.directory.c_str(), 0700) != 0 && errno != EEXIST)
      return tell(CommandEnd{EX_CANTCREAT, fmt::format("{}: {}", options.directory, std::strerror(errno))});
    return finish_pairs(pairs);
  }

  int operator()(const CreateServerOptions& options) const {
    const std::string& host = options.hosts.front().text;
    const std::string https = path_in(options.directory, host);
    const std::string peer = https + "-peer";
    if (const auto end = cannot_be_new({https, peer})) return tell(*end);
    CertificateRequest request{host.size() <= kSubjectNameBytes ? host : "", options.hosts,
                               CertificateUse::kServer};
    auto https_made = sign_by(options.directory, kHttpsAuthority, request, options.days);
    if (!https_made) return tell(https_made.error());
    request.use = CertificateUse::kPeer;
    auto peer_made = sign_by(options.directory, kPeerAuthority, request, options.days);
    if (!peer_made) return tell(peer_made.error());
    return finish_pairs({{https, std::move(*https_made), "kvd --tls-cert", "kvd --tls-key"},
                         {peer, std::move(*peer_made), "kvd --peer-cert", "kvd --peer-key"}});
  }

  int operator()(const CreateClientOptions& options) const {
    const std::string path = path_in(options.directory, options.name + "-client");
    if (const auto end = cannot_be_new({path})) return tell(*end);
    auto made = sign_by(options.directory, kClientAuthority,
                        {options.name, options.names, CertificateUse::kClient}, options.days);
    if (!made) return tell(made.error());
    std::vector<std::string> identities;
    for (const net::AlternativeName& name : options.names) identities.push_back(identity_of(name));
    return finish_pairs(
        {{path, std::move(*made),
          fmt::format("--cert of curl and of kvd's clients; it says {}", fmt::join(identities, ", ")),
          "--key of curl and of kvd's clients"}});
  }
};

}  // namespace

int run_cert_command(const CertCommand& command) { return std::visit(CertRun{}, command); }

}  // namespace kvd::client
