// The trace's words for what is asked of users, tokens and policies (text.hpp). Their names are plain words, and
// nothing of it is secret.
#pragma once
#include <string>

#include "base/box.hpp"
#include "msg/access.hpp"

namespace kvd {

struct AccessOperationText {
  std::string operator()(const Box<PutPolicy>& m) const;
  std::string operator()(const Box<PutUser>& m) const;
  std::string operator()(const Box<CreateToken>& m) const;
  std::string operator()(const Box<ReplaceAccess>& m) const;
  std::string operator()(const DeleteAccess& m) const;
  std::string operator()(const ListAccess& m) const;
};
struct AccessAnswerText {
  std::string operator()(const TokenMade& m) const;
};

}  // namespace kvd
