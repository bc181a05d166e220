// See auth_commands.hpp.
#include "client/auth_commands.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/command_line.hpp"
#include "base/decimal.hpp"
#include "base/json_writer.hpp"
#include "base/utc.hpp"
#include "client/answers.hpp"
#include "client/input.hpp"
#include "client/message_commands.hpp"
#include "client/new_files.hpp"
#include "client/output.hpp"
#include "client/say.hpp"
#include "client/store_client.hpp"
#include "msg/limits.hpp"
#include "net/secrets.hpp"

namespace kvd::client {
namespace {

constexpr int kNotAllowed = 1;
constexpr int64_t kYear10000Ms = 253'402'300'800'000;

// How the items of a kind are called in paths and lists, and which members are printed behind their name.
struct Collection {
  const char* name;
  const char* id;
  std::vector<std::string> members;
};

Collection collection_of(AccessKind kind) {
  switch (kind) {
    case AccessKind::kPolicy:
      return {"policies", "name", {"rules"}};
    case AccessKind::kUser:
      return {"users", "name", {"policies", "identities"}};
    case AccessKind::kToken:
      break;
  }
  return {"tokens", "id", {"user", "state", "expires_ms", "note"}};
}

std::string access_path(AccessKind kind) { return fmt::format("/v1/auth/{}", collection_of(kind).name); }
std::string access_path(AccessKind kind, const std::string& name) { return access_path(kind) + "/" + name; }

// Of milliseconds since 1970 as the answer has them; it may be null.
std::string moment(const std::string& ms) {
  const auto number = parse_decimal(ms);
  if (!number || *number < 0 || *number >= kYear10000Ms) return "never";
  return utc_text(*number / 1000);
}

// What is written here is remembered by no idempotency key; what is written twice is as if it were written once.
StoreRequest write_of(const char* method, AccessKind kind, const std::string& name) {
  StoreRequest request{method, access_path(kind, name)};
  request.keyed = false;
  return request;
}

struct AuthRun {
  StoreClient& client;

  int operator()(const PolicyPutOptions& put) const {
    auto document = read_input(put.document);
    if (!document) return tell(document.error());
    StoreRequest request = write_of("PUT", AccessKind::kPolicy, put.name);
    request.body = std::move(*document);
    return print_answered_number(client, request, "revision");
  }

  int operator()(const UserPutOptions& put) const {
    JsonWriter json;
    json.begin_object()
        .list_member("policies", put.user.policies)
        .list_member("identities", put.user.identities)
        .end_object();
    StoreRequest request = write_of("PUT", AccessKind::kUser, put.name);
    request.body = json.take();
    return print_answered_number(client, request, "revision");
  }

  // As it is put, without its name.
  int operator()(const PolicyGetOptions& get) const {
    const StoreRequest request{"GET", access_path(AccessKind::kPolicy, get.name)};
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const std::string rules = json_in(answer->body, "rules");
    if (rules.empty()) return tell(StoreClient::useless(request, "no 'rules' in the answer"));
    JsonWriter document;
    document.begin_object().key("rules").raw(rules).end_object();
    return print(document.take() + "\n");
  }

  int operator()(const UserGetOptions& get) const {
    return print_members(client, {"GET", access_path(AccessKind::kUser, get.name)}, get.json);
  }

  int operator()(const WhoAmIOptions& who) const {
    return print_members(client, {"GET", "/v1/auth/whoami"}, who.json);
  }

  int operator()(const AccessListOptions& list) const {
    const Collection collection = collection_of(list.kind);
    std::string after;
    for (;;) {
      StoreRequest request{"GET", access_path(list.kind), fmt::format("limit={}", limits::kListItemsMax)};
      if (!after.empty()) add_parameter(request.query, "after", after);
      const auto answer = client.ask(request);
      if (!answer) return tell(answer.error());
      const auto page = parse_access_page(answer->body, collection.name, collection.id, collection.members);
      if (!page) return tell(StoreClient::useless(request, page.error().detail));
      const int code = print(lines_of(list, *page));
      if (code != EX_OK || page->empty() || field_of(*answer, "Link").empty()) return code;
      after = page->back().name;
    }
  }

  int operator()(const AccessRemoveOptions& remove) const {
    const auto answer = client.ask(write_of("DELETE", remove.kind, remove.name));
    return answer ? EX_OK : tell(answer.error());
  }

  // It goes to standard output alone, and what is known of it to standard error. A request whose outcome is unknown is
  // not sent again: of the token that it may have made nobody would know.
  int operator()(const TokenCreateOptions& create) const {
    StoreRequest request{"POST", access_path(AccessKind::kToken)};
    request.keyed = false;
    request.once = true;
    JsonWriter json;
    json.begin_object().member("user", create.user);
    if (create.ttl > Duration(0)) json.member("ttl_ms", to_ms(create.ttl));
    if (!create.note.empty()) json.member("note", create.note);
    json.end_object();
    request.body = json.take();
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const auto token = parse_token(text_in(answer->body, "token"));
    if (!token) return tell(StoreClient::useless(request, "no token in the answer"));
    Say().line(fmt::format("token {} of {}; it expires: {}", token->id, create.user,
                           moment(json_in(answer->body, "expires_ms"))));
    return print(token->text() + "\n");
  }

  int operator()(const AccessTestOptions& test) const {
    StoreRequest request{"GET", "/v1/auth/test"};
    add_parameter(request.query, "user", test.user);
    add_parameter(request.query, "right", right_name(test.right));
    add_parameter(request.query, "resource", resource_name(test.resource));
    if (!test.path.empty()) add_parameter(request.query, "path", test.path);
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const auto allowed = parse_flag_in(answer->body, "allowed");
    if (!allowed) return tell(StoreClient::useless(request, allowed.error().detail));
    return *allowed ? print("allowed\n") : print("not allowed\n", kNotAllowed);
  }

 private:
  static std::string lines_of(const AccessListOptions& list, const std::vector<ListedAccess>& page) {
    std::string lines;
    for (const ListedAccess& item : page) {
      if (list.json) {
        lines += item.json + "\n";
        continue;
      }
      lines += item.name;
      for (const auto& [name, text] : item.members)
        lines += "\t" + (name == "expires_ms" ? moment(text) : text);
      lines += "\n";
    }
    return lines;
  }
};

}  // namespace

int run_auth_command(net::Loop& loop, const AuthCommand& command, uint64_t seed) {
  return run_at_store<AuthRun>(loop, command, seed);
}

int make_root_token(const RootTokenOptions& options) {
  const TokenText token = new_token(net::random_bytes(kTokenRandomBytes));
  const std::string line = root_token_line({token.id, net::sha256(token.secret)});
  if (const auto error = make_new_files({{options.file, line, 0600}}))
    return tell(CommandEnd{EX_CANTCREAT, error->detail});
  return print(token.text() + "\n");
}

}  // namespace kvd::client
