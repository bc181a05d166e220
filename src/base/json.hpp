// Reading JSON: simdjson's own parser does it, and whoever reads a document takes it apart with simdjson's types. Here
// is only what the library would get wrong.
#pragma once
#include <simdjson.h>

#include <string_view>

namespace kvd {

// As parser.parse(): `root` lives as long as `parser`, and until the next text. An empty text may have no place in
// memory at all, which the library would copy from.
inline simdjson::error_code parse_json(simdjson::dom::parser& parser, std::string_view text,
                                       simdjson::dom::element& root) {
  return text.empty() ? simdjson::EMPTY : parser.parse(text.data(), text.size()).get(root);
}

}  // namespace kvd
