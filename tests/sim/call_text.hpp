// Calls of the coordination services as on curl's command line, and values out of their answers and of znodes: what
// tests and the clients of simulated worlds have in common.
#pragma once
#include <string>
#include <string_view>

#include "msg/services.hpp"

namespace kvd::sim {

// "POST locks/a/b?session=S&wait=5"
ServiceCall call_of(std::string_view request, std::string body);
// The member of the answer's document as text, a number in decimal; empty: it has none.
std::string member_of(const ServiceAnswer& answer, std::string_view member);
int64_t number_of(const ServiceAnswer& answer, std::string_view member);  // 0: it has none
// The text that stands for the member in a JSON object, without quotes; empty: it has none.
std::string json_member(std::string_view json, std::string_view member);
int64_t json_number(std::string_view json, std::string_view member);  // 0: it has none

}  // namespace kvd::sim
