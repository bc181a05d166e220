// Whether a host is among the names of a certificate, which are written as net/tls.hpp has them: by that a server is
// held to be who it says that it is. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace kvd {

// `host` is a name, or an address without brackets. Names are compared as DNS does, without regard to case; "*." in a
// certificate stands for exactly one label (RFC 6125, 6.4.3). A name that is no address is never matched by one.
bool is_named(std::string_view host, const std::vector<std::string>& names);

}  // namespace kvd
