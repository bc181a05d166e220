// What an expected failure looks like: a value or one line for a person.
// [[nodiscard]] comes with the library's type.
#pragma once
#include <string>
#include <tl/expected.hpp>

namespace kvd {

struct [[nodiscard]] Error {
  std::string detail;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> failure(std::string detail) {
  return tl::unexpected<Error>(Error{std::move(detail)});
}

}  // namespace kvd
