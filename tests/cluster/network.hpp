// A network of its own for a test: hosts are network namespaces joined by a bridge, on which the test process
// itself sits too and reaches them all. What one host sends to another can be dropped, in each direction by
// itself. All of it is private to the process and gone with it, however that ends. Main thread.
#pragma once
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rig/place.hpp"

namespace kvd::testing {

class Network {
 public:
  // Leaves the machine's network for good: before any thread and any other process of the test. Empty: done;
  // otherwise what is missing.
  static std::string enter();

  explicit Network(int hosts);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  Place place(int host) const;  // 0 is the first one

  // From here on nothing that `from` sends reaches `to`, also of the connections that stand; no one is told.
  void cut(int from, int to);
  void restore(int from, int to);
  void cut_both(int a, int b) { cut(a, b), cut(b, a); }
  void heal();  // restores everything
  bool is_cut(int from, int to) const { return cut_.contains({from, to}); }

 private:
  void point(int from, int to, const std::string& link_address);
  int hosts_;
  std::set<std::pair<int, int>> cut_;
};

}  // namespace kvd::testing
