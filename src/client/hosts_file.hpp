// The lines of a hosts file between `# BEGIN kvd NODE` and `# END kvd NODE`, which are kvd's; every other line is
// somebody else's and stays byte for byte, whatever names stand in it. Pure: text in, text out; who reads and writes
// the file is whole_file.hpp's.
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace kvd::client {

// 1 to 255 printable ASCII characters without spaces: what may follow `# BEGIN kvd `.
bool is_hosts_node(std::string_view node);

// `text` with `block` as the lines between the markers of `node`; where there are none, they are appended. A line end
// is added to a block or a last foreign line that has none. The Error says what is wrong with the markers in `text`
// (one without the other, more than one, in the wrong order), or that `block` holds a marker or a NUL: then nothing
// may be written, since nobody can tell which lines are whose.
Result<std::string> edit_hosts_file(std::string_view text, std::string_view node, std::string_view block);

}  // namespace kvd::client
