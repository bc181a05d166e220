// See response_parser.hpp.
#include "client/response_parser.hpp"

#include <strings.h>

#include <algorithm>

namespace kvd::client {

struct ResponseCallbacks {
  static ResponseParser& of(llhttp_t* parser) { return *static_cast<ResponseParser*>(parser->data); }

  static int begin(llhttp_t* parser) {
    Response& response = of(parser).response_;
    response.body.clear();
    response.fields.clear();
    return 0;
  }
  static int name(llhttp_t* parser, const char* bytes, size_t size) {
    auto& fields = of(parser).response_.fields;
    if (fields.empty() || !fields.back().second.empty()) fields.emplace_back();
    fields.back().first.append(bytes, size);
    return 0;
  }
  static int content(llhttp_t* parser, const char* bytes, size_t size) {
    auto& fields = of(parser).response_.fields;
    if (!fields.empty()) fields.back().second.append(bytes, size);
    return 0;
  }
  static int head(llhttp_t* parser) {
    ResponseParser& self = of(parser);
    self.response_.status = parser->status_code;
    self.response_.keep_alive = llhttp_should_keep_alive(parser) != 0;
    self.under_way_ = true;
    self.keeps_body_ = self.keep_ == Keep::kAll || parser->status_code >= 400;
    return 0;
  }
  static int body(llhttp_t* parser, const char* bytes, size_t size) {
    ResponseParser& self = of(parser);
    if (self.keeps_body_) self.response_.body.append(bytes, size);
    return 0;
  }
  static int end(llhttp_t* parser) {
    ResponseParser& self = of(parser);
    self.under_way_ = false;
    return self.on_response_(self.owner_, self.response_) ? 0 : -1;
  }

  static llhttp_settings_t make(Keep keep) {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_message_begin = begin;
    settings.on_headers_complete = head;
    settings.on_body = body;
    settings.on_message_complete = end;
    if (keep == Keep::kAll) {
      settings.on_header_field = name;
      settings.on_header_value = content;
    }
    return settings;
  }
  static const llhttp_settings_t* settings(Keep keep) {
    static const llhttp_settings_t few = make(Keep::kFailures);
    static const llhttp_settings_t all = make(Keep::kAll);
    return keep == Keep::kAll ? &all : &few;
  }
};

ResponseParser::ResponseParser(void* owner, OnResponse on_response, Keep keep)
    : owner_(owner), on_response_(on_response), keep_(keep) {
  restart();
}

void ResponseParser::restart() {
  llhttp_init(&parser_, HTTP_RESPONSE, ResponseCallbacks::settings(keep_));
  parser_.data = this;
  under_way_ = false;
}

bool ResponseParser::feed(const char* bytes, size_t size) {
  return llhttp_execute(&parser_, bytes, size) == HPE_OK;
}

std::string_view field_of(const Response& answer, std::string_view name) {
  const auto same = [name](const auto& field) {
    return field.first.size() == name.size() &&
           ::strncasecmp(field.first.data(), name.data(), name.size()) == 0;
  };
  const auto found = std::find_if(answer.fields.begin(), answer.fields.end(), same);
  return found == answer.fields.end() ? std::string_view() : found->second;
}

std::string_view problem_member(std::string_view body, std::string_view name) {
  for (size_t at = 0; (at = body.find(name, at)) != std::string_view::npos; at += name.size()) {
    const size_t after = at + name.size();
    if (at == 0 || body[at - 1] != '"' || body.substr(after, 3) != "\":\"") continue;
    const size_t begin = after + 3;
    return body.substr(begin, std::min(body.find('"', begin), body.size()) - begin);
  }
  return {};
}

}  // namespace kvd::client
