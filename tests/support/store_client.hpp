// For tests that are clients of one node's store: its answers among what the node has to say, with the numbers of the
// calls that they answer.
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "msg/actors.hpp"

namespace kvd {

struct NumberedAnswer : StoreAnswer {
  RequestId id;
};

// The answer of the store that `effect` is, if it is one.
inline std::optional<NumberedAnswer> answer_of_store(NodeEffect& effect) {
  auto* reply = std::get_if<Reply>(&effect);
  auto* answer = reply == nullptr ? nullptr : std::get_if<StoreAnswer>(&reply->what);
  if (answer == nullptr) return std::nullopt;
  return NumberedAnswer{std::move(*answer), reply->id};
}

}  // namespace kvd
