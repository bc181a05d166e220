// See lease_keeper_harness.hpp.
#include "lease_keeper_harness.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "core/lease_keeper.hpp"

namespace kvd::lease_keeper_test {

struct Keeper::Parts {
  NodeConfig config;
  Prng prng{1};
  Outbox out{config, prng};
  LeaseKeeper actor{out};
};

std::string refusal_of(ErrorCode code) { return "refused: " + std::to_string(static_cast<int>(code)); }

Keeper::Keeper() : parts_(std::make_unique<Parts>()) { parts_->out.now = Instant(seconds(100)); }
Keeper::~Keeper() = default;

void Keeper::call(RequestId id, HoldLease what) {
  parts_->actor.handle(Call{id, std::move(what), seconds(5)});
}
void Keeper::close(RequestId id) { parts_->actor.handle(CallCancelled{id}); }
void Keeper::stop() { parts_->actor.handle(StopRequested{}); }
void Keeper::answer(const Ask& ask, Answer answer) {
  parts_->actor.handle(Answered{ask.token, std::move(answer), Revision(9)});
}
void Keeper::fail(const Ask& ask) {
  answer(ask, Failed{ErrorCode::kNoLeader, Outcome::kNotApplied, "nobody leads"});
}

Instant Keeper::now() const { return parts_->out.now; }
void Keeper::sleep(Duration time) { parts_->out.now += time; }
void Keeper::wake() { parts_->actor.on_time(); }

void Keeper::pass(Duration time) {
  Instant& now = parts_->out.now;
  const Instant then = now + time;
  while (deadline() <= then) {
    now = std::max(now, deadline());
    wake();
    if (!parts_->out.kv_router.empty()) return;
  }
  now = then;
}

std::vector<Ask> Keeper::asked() {
  auto& mailbox = parts_->out.kv_router;
  std::vector<Ask> all;
  for (; !mailbox.empty(); mailbox.drop_first()) all.push_back(std::get<Ask>(std::move(mailbox.first())));
  return all;
}

std::vector<std::string> Keeper::said() {
  std::vector<std::string> all;
  for (NodeEffect& effect : parts_->out.effects) {
    const Reply& reply = std::get<Reply>(effect);
    std::string& text = all.emplace_back(reply.id == kClient ? "client " : "other ");
    if (const auto* store = std::get_if<StoreAnswer>(&reply.what)) {
      text += refusal_of(std::get<Failed>(store->answer).code);
      continue;
    }
    text += to_json(std::get<Document>(std::get<ServiceAnswer>(reply.what).content));
    if (reply.last) text += ".";
    if (!reply.line) text += " but no line";
  }
  parts_->out.effects.clear();
  return all;
}

Instant Keeper::deadline() const { return parts_->actor.deadline(); }
uint64_t Keeper::held() const { return parts_->actor.held(); }
bool Keeper::drained() const { return parts_->actor.drained(); }

}  // namespace kvd::lease_keeper_test
