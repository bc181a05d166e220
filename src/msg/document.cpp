// See document.hpp.
#include "msg/document.hpp"

#include <algorithm>

#include "base/base64.hpp"
#include "base/json_writer.hpp"

namespace kvd {
namespace {

// One value behind its name, if it has one. How deep they are nested is bounded by who builds or decodes them.
class ValueWriter {
 public:
  explicit ValueWriter(JsonWriter& json) : json_(json) {}

  void write(const Document& document) {
    json_.begin_object();
    for (const Document::Member& member : document.members) write(member);
    json_.end_object();
  }
  void write(const Document::Member& member) {
    if (const auto* octets = std::get_if<Octets>(&member.value.content)) {
      json_.bytes_member(member.name, octets->bytes);
    } else {
      json_.key(member.name);
      std::visit(*this, member.value.content);
    }
  }

  void operator()(const Nothing&) { json_.null(); }
  void operator()(bool flag) { json_.value(flag); }
  void operator()(int64_t number) { json_.value(number); }
  void operator()(uint64_t number) { json_.value(number); }
  void operator()(const std::string& text) { json_.value(std::string_view(text)); }
  void operator()(const Octets& octets) { json_.value(std::string_view(base64_encode(octets.bytes))); }
  void operator()(const StoredJson& stored) { json_.raw(stored.text); }
  void operator()(const std::shared_ptr<const Document>& document) { write(*document); }
  void operator()(const std::shared_ptr<const ValueList>& list) {
    json_.begin_array();
    for (const Value& value : *list) std::visit(*this, value.content);
    json_.end_array();
  }

 private:
  JsonWriter& json_;
};

}  // namespace

Value::Value(Document document) : content(std::make_shared<const Document>(std::move(document))) {}

std::optional<int64_t> Value::number() const {
  if (const auto* number = std::get_if<int64_t>(&content)) return *number;
  const auto* number = std::get_if<uint64_t>(&content);
  if (number == nullptr || !std::in_range<int64_t>(*number)) return std::nullopt;
  return static_cast<int64_t>(*number);
}

std::optional<std::string> Value::text() const {
  if (const auto* text = std::get_if<std::string>(&content)) return *text;
  const auto* octets = std::get_if<Octets>(&content);
  return octets == nullptr ? std::nullopt : std::optional(octets->bytes);
}

const Document* Value::document() const {
  const auto* document = std::get_if<std::shared_ptr<const Document>>(&content);
  return document == nullptr ? nullptr : document->get();
}

const ValueList* Value::list() const {
  const auto* list = std::get_if<std::shared_ptr<const ValueList>>(&content);
  return list == nullptr ? nullptr : list->get();
}

const Value* Document::find(std::string_view name) const {
  const auto it = std::find_if(members.begin(), members.end(),
                               [name](const Member& member) { return member.name == name; });
  return it == members.end() ? nullptr : &it->value;
}

std::optional<int64_t> Document::number(std::string_view name) const {
  const Value* value = find(name);
  return value == nullptr ? std::nullopt : value->number();
}

std::optional<std::string> Document::text(std::string_view name) const {
  const Value* value = find(name);
  return value == nullptr ? std::nullopt : value->text();
}

std::string to_json(const Document& document) {
  JsonWriter json;
  ValueWriter(json).write(document);
  return json.take();
}

}  // namespace kvd
