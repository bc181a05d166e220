// The JSON that kvd keeps in ZooKeeper, so that `zkCli.sh get` is readable:
//   /kvd/config      {"cluster":"<uuid>","lineage":0,"epoch":3,"leader":{"id":"a:8001","incarnation":"<16 hex
//   digits>"},
//                     "cause":"dead","leader_znode":"server_0000000004","in_sync":[{"id":..,"incarnation":..},...],
//                     "min_in_sync":1,"change":"<16 hex digits>","serial":7,"epoch_id":"<16 hex digits>",
//                     "history":["EPOCH/EPOCH_ID/SERIAL",..]}
//   /kvd/lives/ID.INCARNATION and /election/server_N
//                    {"id":"a:8001","incarnation":"..","http":"a:8001","peer":"a:18001","durable":false}
//   /kvd/members/ID  the same, and "remembers":<a register>,"claim":{"found":-1,"proposed":<a register>,"epoch":3,
//                    "end":120,"commit":120,"digest":"<16 hex digits>","differs":false}
// What is read is foreign: anything missing, of another type or out of range is an Error that names the
// member.
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "msg/types.hpp"

namespace kvd {

inline constexpr size_t kSequenceDigits = 10;  // that ZooKeeper puts behind the name of a sequential znode

inline constexpr char kRootPath[] = "/kvd";
inline constexpr char kConfigPath[] = "/kvd/config";
inline constexpr char kMembersPath[] = "/kvd/members";
inline constexpr char kLivesPath[] = "/kvd/lives";
inline constexpr char kElectionPath[] = "/election";
inline constexpr char kElectionPrefix[] = "server_";

// Is `path` that znode or one below it?
bool at_or_below(std::string_view path, std::string_view znode);
std::string member_path(const ServerId& id);  // there while a server of this id is registered
std::string life_path(const Member& member);  // there while exactly this life of it is
std::string election_path(const std::string& znode);

std::string encode_register(const Register& content);
Result<Register> decode_register(std::string_view json);
std::string encode_server_info(const ServerInfo& info);
Result<ServerInfo> decode_server_info(std::string_view json);
std::string encode_registration(const Registration& registration);
Result<Registration> decode_registration(std::string_view json);

// "host:port", with brackets around an IPv6 address.
std::string format_address(const Address& address);
Result<Address> parse_address(std::string_view text);  // the inverse; the port is required

}  // namespace kvd
