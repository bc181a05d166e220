// For tests of what judges histories: a client asks, and hears an answer, both in the order of the calls here. Every
// read is a linear one.
#pragma once
#include <string>
#include <utility>

#include "judge/history.hpp"

namespace kvd::sim {

inline size_t ask(History& history, Operation operation, uint64_t token = 0,
                  const std::string& resource = "lock") {
  ClientOperation made;
  if (token != 0) made.request.fence = Fence{resource, token};
  made.request.operation = std::move(operation);
  made.request.read = ReadMode::kLinear;
  return history.begin(std::move(made));
}

inline void hear(History& history, size_t index, Answer answer, uint64_t revision) {
  StoreAnswer reply;
  reply.answer = std::move(answer);
  reply.revision = Revision(revision);
  history.finish(index, std::move(reply));
}

}  // namespace kvd::sim
