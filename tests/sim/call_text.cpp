// See call_text.hpp.
#include "call_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"

namespace kvd::sim {
namespace {

Collection collection_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(kLastCollection); ++i) {
    if (name == collection_name(static_cast<Collection>(i))) return static_cast<Collection>(i);
  }
  CHECK(!"no such collection");
  return {};
}

Verb verb_of(std::string_view name) {
  for (const Verb verb : {Verb::kGet, Verb::kPut, Verb::kPost, Verb::kDelete}) {
    if (name == verb_name(verb)) return verb;
  }
  CHECK(!"no such verb");
  return {};
}

}  // namespace

ServiceCall call_of(std::string_view request, std::string body) {
  ServiceCall call;
  const size_t space = request.find(' ');
  call.verb = verb_of(request.substr(0, space));
  std::string_view target = request.substr(space + 1);
  std::string_view query;
  if (const size_t mark = target.find('?'); mark != std::string_view::npos) {
    query = target.substr(mark + 1);
    target = target.substr(0, mark);
  }
  const size_t slash = std::min(target.find('/'), target.size());
  call.collection = collection_of(target.substr(0, slash));
  call.path = target.substr(std::min(slash + 1, target.size()));
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    const size_t equals = std::min(one.find('='), one.size());
    call.parameters.push_back(
        {std::string(one.substr(0, equals)), std::string(one.substr(std::min(equals + 1, one.size())))});
  }
  std::sort(call.parameters.begin(), call.parameters.end());
  call.body = std::move(body);
  return call;
}

std::string member_of(const ServiceAnswer& answer, std::string_view member) {
  const auto* document = std::get_if<Document>(&answer.content);
  if (document == nullptr) return {};
  if (const auto number = document->number(member)) return std::to_string(*number);
  return document->text(member).value_or("");
}

int64_t number_of(const ServiceAnswer& answer, std::string_view member) {
  const auto* document = std::get_if<Document>(&answer.content);
  return document == nullptr ? 0 : document->number(member).value_or(0);
}

std::string json_member(std::string_view json, std::string_view member) {
  const std::string key = fmt::format("\"{}\":", member);
  const size_t at = json.find(key);
  if (at == std::string_view::npos) return {};
  const size_t begin = at + key.size();
  if (json[begin] == '"') return std::string(json.substr(begin + 1, json.find('"', begin + 1) - begin - 1));
  return std::string(json.substr(begin, json.find_first_of(",}]", begin) - begin));
}

int64_t json_number(std::string_view json, std::string_view member) {
  const std::string text = json_member(json, member);
  return text.empty() ? 0 : std::stoll(text);
}

}  // namespace kvd::sim
