// Which of two registers of one cluster came after the other. ZooKeeper's version of the znode does not tell: it goes
// back with ZooKeeper's data, and begins again when the znode is made anew. So each register says itself what it came
// from: its epoch, by a number that the takeover drew, counts its changes, and remembers of the epochs before it with
// which change they ended. (Kafka's followers compare the epochs of leaders in the same way, KIP-101; here it is the
// configuration.)
#pragma once
#include "msg/types.hpp"

namespace kvd {

// Is `later` the same register as `earlier`, or one that was made of it by any number of changes and takeovers? Of what
// lies further back than `later` remembers the number of the epoch decides.
bool descends(const Register& later, const Register& earlier);

// Makes of a register that is about to be replaced the beginning of what replaces it: in the same epoch ...
Register next_change(const Register& replaced);
// ... or in the next one, above `above` too. The caller sets who leads it, who is in sync and why.
Register next_epoch(const Register& replaced, uint64_t epoch_id, Epoch above = Epoch(0));

// Adds an epoch that has ended to those that `content` remembers. The oldest ones are forgotten.
void remember(Register& content, const PastEpoch& past);
PastEpoch past_of(const Register& content);

}  // namespace kvd
