// What those parts of this layer share that know OpenSSL: pointers that free, and the reason of a failure. For them
// only.
#pragma once
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstring>
#include <memory>
#include <string>

namespace kvd::net::openssl {

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

template <class T, auto kFree>
using Owned = std::unique_ptr<T, Free<kFree>>;

using Buffer = Owned<BIO, BIO_free_all>;
using Certificate = Owned<X509, X509_free>;
using Names = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using Number = Owned<BIGNUM, BN_free>;

// A key that wants a password would have the library ask whoever sits at the terminal.
inline int no_password(char*, int, int, void*) { return -1; }

// In the library's words: of its oldest error, as the others follow from it. They are forgotten.
inline std::string take_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason is given";
  const char* words =
      ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
  return words != nullptr ? words : fmt::format("OpenSSL's error {:08X}", code);
}

}  // namespace kvd::net::openssl
