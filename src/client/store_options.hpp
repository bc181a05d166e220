// What the command lines of the store's commands say: kvd get, put, del, ls, txn, add, watch. Plain data; what reads
// it is in the table of all clients (options_table.hpp).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "client/server.hpp"
#include "msg/types.hpp"

namespace kvd::client {

struct StoreAccess {
  std::vector<Server> servers;  // not empty
  Duration timeout{0};          // of each request, with all of its repetitions
};

struct ReadTerms {
  bool linear = false;
  uint64_t min_revision = 0;  // 0: any
};

struct WriteTerms {
  uint64_t if_revision = 0;  // of the key as it is; 0: any
  bool if_absent = false;
  std::string fence;  // RESOURCE:TOKEN; empty: none
};

struct InputSource {
  enum class Kind : uint8_t { kText, kStandardInput, kFile };
  Kind kind = Kind::kStandardInput;
  std::string text;  // or the file's name
};

struct GetOptions {
  StoreAccess access;
  std::string key;
  ReadTerms terms;
  bool json = false;
};

struct PutOptions {
  StoreAccess access;
  std::string key;
  InputSource value;
  WriteTerms terms;
  bool json = false;
};

struct DelOptions {
  StoreAccess access;
  std::string key;  // empty: all keys with `prefix`
  std::string prefix;
  WriteTerms terms;
};

struct ListOptions {
  StoreAccess access;
  std::string prefix;
  ReadTerms terms;
  bool values = false;
  bool json = false;
  bool nul = false;  // ends what would end with a line, or a tab
};

struct TxnOptions {
  StoreAccess access;
  InputSource body;
  WriteTerms terms;
};

struct AddOptions {
  StoreAccess access;
  std::string key;
  int64_t amount = 1;
  WriteTerms terms;
};

struct WatchOptions {
  std::vector<Server> servers;  // not empty
  std::string key;              // empty: all keys with `prefix`
  std::string prefix;           // empty: all keys
  std::optional<uint64_t> since;
  bool state = false;
  bool linear = false;
  bool values = false;
  bool json = false;
  bool nul = false;  // as in ListOptions
};

using StoreCommand = std::variant<GetOptions, PutOptions, DelOptions, ListOptions, TxnOptions, AddOptions>;

}  // namespace kvd::client
