// What clients' sessions have lost while nobody was there to be told: the next call about it hears so, once.
//
// A part of holdings.hpp; the service names what is lost in words of its own.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "msg/actors.hpp"
#include "msg/limits.hpp"

namespace kvd {

class Losses {
 public:
  void add(HolderId holder, const std::string& what, std::string why);
  std::optional<std::string> take(HolderId holder, const std::string& what);
  void forget(HolderId holder);  // its session has ended

 private:
  std::map<std::pair<HolderId, std::string>, std::string> lost_;
};

}  // namespace kvd
