// What a client of `kvload verify --txn` does next, drawn at random.
// Pure: all chance is the generator's.
#pragma once
#include <cstdint>
#include <string>

#include "base/prng.hpp"
#include "judge/http_history.hpp"
#include "kvload/options.hpp"

namespace kvd::load {

// Of the keys are accounts: a transfer, if there is as much on the first one; a deposit; a reading of one or of all.
// Accounts are `prefix` and a number. `number`: never the same twice.
testing::HttpOperation draw_transfer(Prng& random, const VerifyOptions& options, const std::string& prefix,
                                     uint64_t number);

}  // namespace kvd::load
