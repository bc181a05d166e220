// See service_calls.hpp.
#include "service_calls.hpp"

#include <utility>
#include <vector>

#include "call_text.hpp"

namespace kvd::sim {

uint64_t ServiceCalls::call(int server, std::string_view request, Heard heard, std::string body) {
  const uint64_t number = ++newest_;
  calls_[number] = {server, std::move(heard)};
  if (hosts_.alive(server)) {
    hosts_.deliver(server, Call{RequestId(number), call_of(request, std::move(body)), seconds(5)});
    return number;
  }
  context_.queue.after(milliseconds(1), [this, number] {
    auto refused = calls_.extract(number);
    if (refused) refused.mapped().heard(nullptr);
  });
  return number;
}

void ServiceCalls::hang_up(uint64_t call) {
  const auto it = calls_.find(call);
  if (it == calls_.end()) return;
  const int server = it->second.server;
  calls_.erase(it);
  if (hosts_.alive(server)) hosts_.deliver(server, CallCancelled{RequestId(call)});
}

// Who hears may hang up, or call again.
void ServiceCalls::on_reply(int server, Reply reply) {
  const auto it = calls_.find(reply.id.value);
  if (it == calls_.end() || it->second.server != server) return;  // its client has hung up
  const Heard heard = it->second.heard;
  if (reply.last) calls_.erase(it);
  const ServiceReply said{std::move(std::get<ServiceAnswer>(reply.what)), reply.line, reply.last};
  heard(&said);
}

void ServiceCalls::on_process_died(int server) {
  std::vector<uint64_t> broken;
  for (const auto& [number, call] : calls_) {
    if (call.server == server) broken.push_back(number);
  }
  for (const uint64_t number : broken) {
    auto call = calls_.extract(number);
    if (call) call.mapped().heard(nullptr);
  }
}

}  // namespace kvd::sim
