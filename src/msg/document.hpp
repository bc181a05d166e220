// An answer's content as values: what the coordination services say, before a face makes bytes of it (HTTP makes JSON).
// A Document is an ordered list of named values, built from left to right:
//
//   Document().add("state", "held").add("fence", fence)
//
// Plain data, any thread. Nested documents and lists never change and are shared: a copy of what holds them costs a
// count, however long they are. No name may stand twice in a Document; nobody checks that.
#pragma once
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace kvd {

class Document;
class Value;
using ValueList = std::vector<Value>;

struct Nothing {};
struct Octets {  // bytes of any kind, of others: they may be no UTF-8
  std::string bytes;
};
struct StoredJson {  // a client's own well-formed JSON, as it was stored: passed on, never read
  std::string text;
};

class Value {
 public:
  using Content = std::variant<Nothing, bool, int64_t, uint64_t, std::string, Octets, StoredJson,
                               std::shared_ptr<const Document>, std::shared_ptr<const ValueList>>;

  Value() = default;  // there is none: null
  template <std::integral T>
  Value(T number) : content(Widest<T>(number)) {}
  Value(std::string text) : content(std::move(text)) {}  // of all texts: UTF-8
  Value(std::string_view text) : content(std::string(text)) {}
  Value(const char* text) : content(std::string(text)) {}
  Value(Octets octets) : content(std::move(octets)) {}
  Value(StoredJson json) : content(std::move(json)) {}
  Value(Document document);
  Value(ValueList list) : content(std::make_shared<const ValueList>(std::move(list))) {}
  Value(std::shared_ptr<const ValueList> list) : content(std::move(list)) {}  // not null

  // As what is asked for, when it is that, or a number that fits.
  std::optional<int64_t> number() const;
  std::optional<std::string> text() const;  // of octets: their bytes
  // nullptr: it is another kind.
  const Document* document() const;
  const ValueList* list() const;

  Content content;

 private:
  template <class T>
  using Widest = std::conditional_t<std::same_as<T, bool>, bool,
                                    std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;
};

class Document {
 public:
  Document& add(std::string_view name, Value value) & {
    members.push_back({std::string(name), std::move(value)});
    return *this;
  }
  Document&& add(std::string_view name, Value value) && { return std::move(add(name, std::move(value))); }

  // nullptr: there is no such member. As of the following, where it is of another kind.
  const Value* find(std::string_view name) const;
  std::optional<int64_t> number(std::string_view name) const;
  std::optional<std::string> text(std::string_view name) const;

  struct Member {
    std::string name;
    Value value;
  };
  std::vector<Member> members;
};

// As one line, without white space but in what clients stored. Octets that are no UTF-8 are a member NAME_b64; in a
// list they have no name, and are base64 whatever they are.
std::string to_json(const Document& document);

}  // namespace kvd
