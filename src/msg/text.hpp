// One line of trace text for every message: what golden scripts compare. Values and long lists are shortened
// to their sizes; the order of fields is fixed.
#pragma once
#include <string>
#include <string_view>

#include "msg/actors.hpp"

namespace kvd {

std::string quoted(std::string_view text);  // on one line and readable, whatever the bytes

std::string to_text(const Member& member);
std::string to_text(const Register& content);
std::string to_text(const Operation& operation);
std::string to_text(const Answer& answer);
std::string to_text(const ServiceAnswer& answer);
// Its content, a document as JSON; of a refusal its sentence. The notes beside it are left out.
std::string words_of(const ServiceAnswer& answer);
std::string to_text(const PeerMessage& message);
std::string to_text(const ZkRequest& request);
std::string to_text(const ZkResult& result);
std::string to_text(const NodeInput& input);
std::string to_text(const NodeEffect& effect);

}  // namespace kvd
