// The fields of what is said of users, tokens and policies, in the order of the wire (wire.cpp) and of the records
// (access.cpp), and what must hold of them when they are read.
#pragma once
#include <tuple>

#include "msg/access.hpp"
#include "msg/codec.hpp"

namespace kvd {

template <>
inline constexpr uint8_t kLast<Resource> = static_cast<uint8_t>(kResources - 1);
template <>
inline constexpr uint8_t kLast<AuthMode> = static_cast<uint8_t>(AuthMode::kOn);
template <>
inline constexpr uint8_t kLast<AccessKind> = static_cast<uint8_t>(AccessKind::kToken);
template <>
inline constexpr size_t kSmallest<Rule> = 1 + 4 + 1 + 1;
template <>
inline constexpr size_t kSmallest<PutPolicy> = 4 + 4;
template <>
inline constexpr size_t kSmallest<PutUser> = 4 + 4 + 4;
template <>
inline constexpr size_t kSmallest<KeptToken> = 4 + 4 + 8 + 4 + 8 + 8 + 4;

auto fields(Of<Caller> auto& m) { return std::tie(m.user, m.via); }
auto fields(Of<Rule> auto& m) { return std::tie(m.resource, m.prefix, m.read, m.write); }
auto fields(Of<Policy> auto& m) { return std::tie(m.rules); }
auto fields(Of<UserAccount> auto& m) { return std::tie(m.policies, m.identities); }
auto fields(Of<TokenRecord> auto& m) {
  return std::tie(m.user, m.user_number, m.digest, m.expires_ms, m.made_ms, m.note);
}
auto fields(Of<PutPolicy> auto& m) { return std::tie(m.name, m.policy); }
auto fields(Of<PutUser> auto& m) { return std::tie(m.name, m.user); }
auto fields(Of<CreateToken> auto& m) { return std::tie(m.id, m.digest, m.user, m.ttl_ms, m.note); }
auto fields(Of<KeptToken> auto& m) { return std::tie(m.id, m.token); }
auto fields(Of<ReplaceAccess> auto& m) { return std::tie(m.policies, m.users, m.tokens); }
auto fields(Of<TokenMade> auto& m) { return std::tie(m.user, m.expires_ms); }
auto fields(Of<DeleteAccess> auto& m) { return std::tie(m.kind, m.name); }
auto fields(Of<ListAccess> auto& m) { return std::tie(m.kind, m.name, m.after, m.limit); }

}  // namespace kvd
