// See consumers_harness.hpp.
#include "consumers_harness.hpp"

#include <utility>
#include <variant>

#include "core/consumers.hpp"

namespace kvd::consumers_test {

struct Harness::Parts {
  NodeConfig config;
  Prng prng{1};
  Outbox out{config, prng};
  Consumers actor{out};
  std::vector<Ask> asked;
  std::vector<uint64_t> withdrawn;
};

Harness::Harness() : parts_(std::make_unique<Parts>()) { parts_->out.now = Instant(seconds(100)); }
Harness::~Harness() = default;

void Harness::call(RequestId id, ConsumeQueue what) {
  parts_->actor.handle(Call{id, std::move(what), seconds(5)});
}
void Harness::close(RequestId id) { parts_->actor.handle(CallCancelled{id}); }
void Harness::taken(RequestId id, size_t bytes) { parts_->actor.handle(StreamTaken{id, bytes}); }
void Harness::stop() { parts_->actor.handle(StopRequested{}); }
void Harness::answer(const Ask& ask, Answer answer) {
  parts_->actor.handle(Answered{ask.token, std::move(answer), Revision(9)});
}
void Harness::pass(Duration time) {
  parts_->out.now += time;
  parts_->actor.on_time();
}

void Harness::read_mailbox() {
  auto& mailbox = parts_->out.kv_router;
  for (; !mailbox.empty(); mailbox.drop_first()) {
    if (auto* ask = std::get_if<Ask>(&mailbox.first())) {
      parts_->asked.push_back(std::move(*ask));
    } else {
      parts_->withdrawn.push_back(std::get<AskWithdrawn>(mailbox.first()).token);
    }
  }
}

std::vector<Ask> Harness::asked() {
  read_mailbox();
  return std::exchange(parts_->asked, {});
}

std::vector<uint64_t> Harness::withdrawn() {
  read_mailbox();
  return std::exchange(parts_->withdrawn, {});
}

std::vector<std::string> Harness::said() {
  std::vector<std::string> all;
  for (NodeEffect& effect : parts_->out.effects) {
    const Reply& reply = std::get<Reply>(effect);
    std::string& text = all.emplace_back();
    if (const auto* store = std::get_if<StoreAnswer>(&reply.what)) {
      const auto* received = std::get_if<Box<Received>>(&store->answer);
      text = received != nullptr
                 ? "messages " + std::to_string((*received)->messages.size())
                 : "refused " + std::to_string(static_cast<int>(std::get<Failed>(store->answer).code));
    } else {
      text = to_json(std::get<Document>(std::get<ServiceAnswer>(reply.what).content));
    }
    if (reply.last) text += ".";
    if (!reply.line) text += " no line";
  }
  parts_->out.effects.clear();
  return all;
}

uint64_t Harness::open() const { return parts_->actor.open(); }
bool Harness::drained() const { return parts_->actor.drained(); }

}  // namespace kvd::consumers_test
