// See cert_options.hpp and options_table.hpp.
#include "client/cert_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/ascii.hpp"
#include "base/ip_address.hpp"
#include "base/utf8.hpp"
#include "client/help.hpp"
#include "client/options_table.hpp"
#include "msg/name_rules.hpp"

namespace kvd::client {
namespace {

using net::AlternativeName;

constexpr int64_t kLeafDays = 365;
constexpr int64_t kLeafDaysMax = 3650;
constexpr size_t kHostsMax = 100;
constexpr size_t kDnsNameBytes = 253;
constexpr size_t kLocalPartBytes = 64;   // of an email address (RFC 5321, 4.5.3.1.1)
constexpr size_t kUriBytes = 2048;       // as SPIFFE has it
constexpr size_t kCommonNameBytes = 64;  // RFC 5280, appendix A.1
constexpr size_t kAuthorityBytes = 48;   // with room for what is added
constexpr char kDnsRemedy[] = "give a DNS name: labels of 1 to 63 letters, digits and hyphens, between dots";

// In lower case, or nothing: it is none (RFC 1034, 3.5; RFC 1123, 2.1). What ends in a number would be an address.
std::optional<std::string> dns_name(const std::string& text) {
  std::string name = to_lower(text);
  if (name.empty() || name.size() > kDnsNameBytes) return std::nullopt;
  std::string_view label;
  for (size_t begin = 0; begin <= name.size(); begin += label.size() + 1) {
    label = std::string_view(name).substr(begin, name.find('.', begin) - begin);
    if (label != "localhost" && !is_label(label)) return std::nullopt;
  }
  if (is_number(label)) return std::nullopt;
  return name;
}

bool is_visible_ascii(std::string_view text, std::string_view without) {
  return std::all_of(text.begin(), text.end(),
                     [without](char c) { return c > ' ' && c <= '~' && without.find(c) == without.npos; });
}

// A scheme, a colon and more (RFC 3986, 3), in ASCII.
bool is_uri(std::string_view text) {
  const size_t colon = text.find(':');
  if (text.size() > kUriBytes || colon == text.npos || colon + 1 == text.size()) return false;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto in_scheme = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  };
  const std::string_view scheme = text.substr(0, colon);
  return !scheme.empty() && is_letter(scheme.front()) &&
         std::all_of(scheme.begin(), scheme.end(), in_scheme) && is_visible_ascii(text, "\"<>\\^`{|}");
}

// LOCAL@DOMAIN without quotes and comments (RFC 5280, 4.2.1.6). The domain in lower case; nothing: it is none.
std::optional<std::string> email_address(const std::string& text) {
  const size_t at = text.find('@');
  if (at == std::string::npos || at == 0 || at > kLocalPartBytes) return std::nullopt;
  const std::string local = text.substr(0, at);
  const auto domain = dns_name(text.substr(at + 1));
  if (!domain || !is_visible_ascii(local, "\"(),:;<>[\\]")) return std::nullopt;
  return local + "@" + *domain;
}

std::optional<AlternativeName> host_name(const std::string& text) {
  if (auto address = canonical_ip(text)) return AlternativeName{AlternativeName::Kind::kIp, *address};
  if (auto name = dns_name(text)) return AlternativeName{AlternativeName::Kind::kDns, *name};
  return std::nullopt;
}

void add_once(std::vector<AlternativeName>& names, AlternativeName name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
}

bool is_for_people(std::string_view name, size_t bytes_max) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  return !name.empty() && name.size() <= bytes_max && is_utf8(name) &&
         std::none_of(name.begin(), name.end(), is_control);
}

std::string read_directory(CommandLine& line) { return line.text("dir", "certs"); }
int64_t read_days(CommandLine& line) { return line.number("days", kLeafDays, 1, kLeafDaysMax); }

// What a complaint begins with, in one line: what was given, or for what.
std::string named_in_complaint(const std::string& word, const std::string& text) {
  return is_for_people(text, text.size()) ? text : word;
}

void complain_of_flag(CommandLine& line, const std::string& flag, const std::string& text,
                      const std::string& remedy) {
  line.complain_of(flag + " " + named_in_complaint("", text), remedy);
}

// ---- the commands ----

ClientCommand read_create_ca(CommandLine& line, const Surroundings&) {
  CreateCaOptions options{read_directory(line), line.text("name", "kvd")};
  if (!is_for_people(options.name, kAuthorityBytes))
    complain_of_flag(line, "--name", options.name,
                     fmt::format("give 1 to {} bytes of UTF-8 without control characters", kAuthorityBytes));
  return CertCommand(std::move(options));
}

ClientCommand read_create_server(CommandLine& line, const Surroundings&) {
  CreateServerOptions options{read_directory(line), {}, read_days(line)};
  if (line.operands().empty())
    line.complain_of("HOST",
                     "give every name and address by which the server is reached, as in kvd1 10.0.0.5");
  for (const std::string& text : line.operands()) {
    if (auto host = host_name(text)) {
      add_once(options.hosts, std::move(*host));
    } else {
      line.complain_of(
          named_in_complaint("HOST", text),
          "give a DNS name (labels of 1 to 63 letters, digits and hyphens, between dots) or an IP "
          "address, without a port and brackets");
    }
  }
  return CertCommand(std::move(options));
}

void read_alternative_names(CommandLine& line, CreateClientOptions& options) {
  using Kind = AlternativeName::Kind;
  for (const std::string& text : line.each("dns")) {
    const auto name = dns_name(text);
    if (!name) complain_of_flag(line, "--dns", text, kDnsRemedy);
    add_once(options.names, {Kind::kDns, name.value_or("")});
  }
  for (const std::string& text : line.each("uri")) {
    if (!is_uri(text))
      complain_of_flag(line, "--uri", text,
                       "give a URI with its scheme, in ASCII, as in spiffe://example.org/app");
    add_once(options.names, {Kind::kUri, text});
  }
  for (const std::string& text : line.each("email")) {
    const auto address = email_address(text);
    if (!address) complain_of_flag(line, "--email", text, "give an address, as in someone@example.org");
    add_once(options.names, {Kind::kEmail, address.value_or("")});
  }
}

ClientCommand read_create_client(CommandLine& line, const Surroundings&) {
  CreateClientOptions options{read_directory(line), "", {}, read_days(line)};
  if (!line.operands().empty()) options.name = line.operands().front();
  if (!is_for_people(options.name, kCommonNameBytes) || options.name.find_first_of("/:") != std::string::npos)
    line.complain_of(
        named_in_complaint("NAME", options.name),
        fmt::format("give a name of 1 to {} bytes of UTF-8 without control characters, slashes and "
                    "colons (curl takes what follows one for a password)",
                    kCommonNameBytes));
  read_alternative_names(line, options);
  if (!options.names.empty()) return CertCommand(std::move(options));
  if (auto name = dns_name(options.name)) {
    options.names.push_back({AlternativeName::Kind::kDns, std::move(*name)});
  } else {
    line.complain_of(options.name, "this is no DNS name: say with --dns, --uri or --email whom it is");
  }
  return CertCommand(std::move(options));
}

CommandSpec cert_spec_of(const char* name, const char* usage, size_t operands, const char* does,
                         std::string notes, std::vector<FlagSpec> flags) {
  flags.insert(flags.begin(), {"dir", "DIR", "where the files are (certs)"});
  CommandSpec spec{std::string("kvd cert ") + name, usage, does, std::move(flags), std::move(notes)};
  spec.operands = operands;
  return spec;
}

}  // namespace

std::vector<ClientEntry> cert_entries() {
  const FlagSpec days{"days", "N",
                      "how long it is valid, 1 to 3650, but not longer than its authority (365)"};
  return {
      {cert_spec_of("create-ca", "[OPTIONS]", 0, "Makes the certificate authorities of a cluster.",
                    std::string(help::kCertCa) + help::kCertCodes,
                    {{"name", "NAME", "what their names begin with, 1 to 48 bytes (kvd)"}}),
       read_create_ca},
      {cert_spec_of("create-server", "HOST... [OPTIONS]", kHostsMax, "Makes a server's certificates.",
                    std::string(help::kCertServer) + help::kCertCodes, {days}),
       read_create_server},
      {cert_spec_of("create-client", "NAME [OPTIONS]", 1, "Makes a client's certificate.",
                    std::string(help::kCertClient) + help::kCertCodes,
                    {{"dns", "HOST", "whom it identifies, as a DNS name; may be repeated (NAME)"},
                     {"uri", "URI", "as a URI, as in spiffe://example.org/app; may be repeated"},
                     {"email", "ADDRESS", "as an email address; may be repeated"},
                     days}),
       read_create_client},
  };
}

}  // namespace kvd::client
