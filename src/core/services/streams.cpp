// See streams.hpp.
#include "core/services/streams.hpp"

#include "base/json_writer.hpp"

namespace kvd {

std::string lost_line(const std::string& why) {
  JsonWriter json;
  return json.begin_object().member("state", "lost").member("reason", why).end_object().take();
}

}  // namespace kvd
