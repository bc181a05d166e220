// What is to become of a register that is not believed (rule 17): judged from what all registered servers tell of the
// registers that they remember. Pure; election gathers the claims and acts.
//
// Let e be the newest register that anybody remembers. Whoever led after e was in e's in-sync set and remembers it. So
// when every incarnation of that set has said what it remembers, and none remembers a newer one, there is none: any of
// them has everything that was acknowledged, and one may take over from e. A server that is missing may have led since.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "msg/actors.hpp"

namespace kvd {

struct Ruling {
  enum class Kind : uint8_t {
    kRestore,  // `restorer` takes over from `newest`
    kWait,     // for those who are missing, or have not told yet; a person may decide without them
    kDecide,   // nobody can know: a person has to
  };
  Kind kind = Kind::kWait;
  Member restorer;
  Register newest;              // of all that are remembered
  Epoch above;                  // every epoch that anybody remembers or that was found
  uint64_t serial = 0;          // newest's, or that of a change of it that was ordered and may have been made
  std::vector<Member> missing;  // those of newest's in-sync set
  bool told = false;            // everybody who is registered and remembers something has told what it holds
  std::string why;              // one sentence, unless kRestore
};

// `doubted`: what this server does not believe; `all`: who is registered, this server included.
Ruling judge(const RegisterDoubted& doubted, const std::vector<Registration>& all);

// For the operator: what is seen, who holds what, and what decides. One line each. `prefix`: before paths in ZooKeeper.
std::vector<std::string> describe(const RegisterDoubted& doubted, const Ruling& ruling,
                                  const std::vector<Registration>& all, const ServerInfo& self,
                                  const std::string& prefix);
// The same while the register is believed and its leader is not heard. `deserted`: nobody is there who is in sync.
std::vector<std::string> describe_silence(const Register& content, bool deserted,
                                          const std::vector<Registration>& all, const ServerInfo& self);
// Of servers with disks and others without; empty when all have one, or none has.
std::string describe_mixture(const std::vector<Registration>& all);

}  // namespace kvd
