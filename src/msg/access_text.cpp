// See access_text.hpp.
#include "msg/access_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace kvd {

std::string AccessOperationText::operator()(const Box<PutPolicy>& m) const {
  return fmt::format("PutPolicy {} rules={}", m->name, m->policy.rules.size());
}
std::string AccessOperationText::operator()(const Box<PutUser>& m) const {
  return fmt::format("PutUser {} policies={} identities={}", m->name, fmt::join(m->user.policies, ","),
                     fmt::join(m->user.identities, ","));
}
std::string AccessOperationText::operator()(const Box<CreateToken>& m) const {
  return fmt::format("CreateToken {} user={} ttl={}ms", m->id, m->user, m->ttl_ms);
}
std::string AccessOperationText::operator()(const Box<ReplaceAccess>& m) const {
  return fmt::format("ReplaceAccess policies={} users={} tokens={}", m->policies.size(), m->users.size(),
                     m->tokens.size());
}
std::string AccessOperationText::operator()(const DeleteAccess& m) const {
  return fmt::format("DeleteAccess {} {}", access_kind_name(m.kind), m.name);
}
std::string AccessOperationText::operator()(const ListAccess& m) const {
  return fmt::format("ListAccess {} {} after={} limit={}", access_kind_name(m.kind), m.name, m.after,
                     m.limit);
}

std::string AccessAnswerText::operator()(const TokenMade& m) const {
  return fmt::format("TokenMade user={} expires={}", m.user, m.expires_ms);
}

}  // namespace kvd
