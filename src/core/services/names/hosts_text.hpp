// The names as lines of a hosts file. Pure: the same names give the same bytes on every server.
//
//   10.0.0.5<TAB>db-1.web db-1     of the path web/db-1
//
// One line an entry, in the order of the paths. The path's parts, turned round, are the host name; its first label
// alone follows where no other entry of the zone has it for its first label, and where it is not a number, which
// resolvers take for an address.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kvd {

struct HostLine {
  std::string address;
  std::vector<std::string> names;
  bool operator==(const HostLine&) const = default;
};

// `addresses`: by path, as in /v1/names.
std::vector<HostLine> host_lines(const std::map<std::string, std::string>& addresses);
std::string hosts_file(const std::vector<HostLine>& lines);  // each line with its newline
// Of the same bytes the same number, from 1 to 2^53 - 1, so that any reader of JSON keeps it; others have another.
uint64_t version_of(std::string_view text);

}  // namespace kvd
