// What has come to its end by the log's clock: keys with a term, and leases with all their keys. The leader looks
// through what is committed, in the order of the deadlines, and holds each against the tail of its log: what has been
// renewed there lives. What it finds is one entry, like a client's write. Pure.
#pragma once
#include <vector>

#include "core/replica/evaluation.hpp"

namespace kvd {

// The effects of the next entry: of about limits::kExpiryKeys keys, and one lease more. Empty: there is nothing.
std::vector<Record> expired(const WriteView& view);

}  // namespace kvd
