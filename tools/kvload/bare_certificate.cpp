// See bare_certificate.hpp.
#include "kvload/bare_certificate.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <utility>

#include "kvload/svg_plot.hpp"
#include "net/certificates.hpp"

namespace kvd::load {
namespace {

using net::AlternativeName;
using net::CertificateAuthority;

constexpr int64_t kDay = 86'400;  // seconds

}  // namespace

BareCertificate::~BareCertificate() {
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

Result<void> BareCertificate::make() {
  std::string name = std::filesystem::temp_directory_path() / "kvload-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) return failure(name + ": " + std::strerror(errno));
  directory_ = std::move(name);
  const net::Lifetime lifetime{std::time(nullptr), kDay};
  const auto own = CertificateAuthority::make("kvload", lifetime);
  if (!own) return Failure<Error>(own.error());
  const auto authority = CertificateAuthority::read(own->certificate, own->key);
  if (!authority) return Failure<Error>(authority.error());
  const auto shown = authority->sign({"", {{AlternativeName::Kind::kIp, "127.0.0.1"}}}, lifetime);
  if (!shown) return Failure<Error>(shown.error());
  for (const auto& [path, text] : {std::pair{this->authority(), own->certificate},
                                   {certificate(), shown->certificate},
                                   {key(), shown->key}}) {
    if (std::string wrong = write_file(path, text); !wrong.empty()) return failure(std::move(wrong));
  }
  return {};
}

}  // namespace kvd::load
