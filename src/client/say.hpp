// What a subcommand tells its user: lines on standard error that begin with `kvd: `. What goes wrong again and again in
// the same way is told once.
#pragma once
#include <fmt/format.h>

#include <cstdio>
#include <string>

namespace kvd::client {

class Say {
 public:
  void line(const std::string& text) {
    last_ = text;
    fmt::print(stderr, "kvd: {}\n", text);
  }
  void once(const std::string& text) {
    if (text != last_) line(text);
  }
  void forget() { last_.clear(); }  // it went well meanwhile

 private:
  std::string last_;
};

}  // namespace kvd::client
