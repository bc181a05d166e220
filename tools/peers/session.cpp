// See session.hpp. What the protocols have in common.
#include "peers/session.hpp"

#include <charconv>

namespace kvd::peers {

std::optional<std::string_view> take_line(std::string_view bytes, size_t& at) {
  const size_t end = bytes.find("\r\n", at);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = bytes.substr(at, end - at);
  at = end + 2;
  return line;
}

std::string_view take_word(std::string_view& line) {
  const size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::unique_ptr<Session> make_session(Peer peer, const Terms& terms, SessionEvents& events) {
  switch (peer) {
    case Peer::kBeanstalkd:
      return make_beanstalkd(terms, events);
    case Peer::kRedis:
      return make_redis(terms, events);
    case Peer::kNats:
      return make_nats(terms, events);
    case Peer::kRabbitmq:
      break;
  }
  return make_rabbitmq(terms, events);
}

}  // namespace kvd::peers
