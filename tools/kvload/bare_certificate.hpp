// What the bare server shows where the target speaks TLS: a certificate for 127.0.0.1 and the authority that signed it,
// made for one run, in files that go with this.
#pragma once
#include <string>

#include "base/result.hpp"

namespace kvd::load {

class BareCertificate {
 public:
  BareCertificate() = default;  // none
  ~BareCertificate();
  BareCertificate(const BareCertificate&) = delete;
  BareCertificate& operator=(const BareCertificate&) = delete;

  Result<void> make();  // once; blocks. An Error says what cannot be done
  std::string certificate() const { return directory_ + "/bare.crt"; }
  std::string key() const { return directory_ + "/bare.key"; }
  std::string authority() const { return directory_ + "/authority.crt"; }

 private:
  std::string directory_;
};

}  // namespace kvd::load
