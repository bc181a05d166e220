// The one way to fail that is expected: a value, or why there is none. Of most that is one line for a person, of some
// what a caller has to know of it besides.
// [[nodiscard]] comes with the library's type.
#pragma once
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace kvd {

struct [[nodiscard]] Error {
  std::string detail;
};

template <class T, class E = Error>
using Result = tl::expected<T, E>;

template <class E>
using Failure = tl::unexpected<E>;

inline Failure<Error> failure(std::string detail) { return Failure<Error>(Error{std::move(detail)}); }

}  // namespace kvd
