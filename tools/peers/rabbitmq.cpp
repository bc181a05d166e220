// RabbitMQ 3.10 with a quorum queue, in AMQP 0-9-1: publications are confirmed, consumers are given so many messages
// ahead as a batch has. Acknowledgements, which nobody confirms, are for several once half a batch has come.
#include <set>

#include "peers/amqp.hpp"
#include "peers/session.hpp"

namespace kvd::peers {
namespace {

constexpr uint32_t kConnectionStart = amqp_method(10, 10), kConnectionStartOk = amqp_method(10, 11);
constexpr uint32_t kConnectionTune = amqp_method(10, 30), kConnectionTuneOk = amqp_method(10, 31);
constexpr uint32_t kConnectionOpen = amqp_method(10, 40), kConnectionOpenOk = amqp_method(10, 41);
constexpr uint32_t kConnectionClose = amqp_method(10, 50);
constexpr uint32_t kChannelOpen = amqp_method(20, 10), kChannelOpenOk = amqp_method(20, 11);
constexpr uint32_t kChannelClose = amqp_method(20, 40);
constexpr uint32_t kQueueDeclare = amqp_method(50, 10), kQueueDeclareOk = amqp_method(50, 11);
constexpr uint32_t kQueueDelete = amqp_method(50, 40), kQueueDeleteOk = amqp_method(50, 41);
constexpr uint32_t kBasicQos = amqp_method(60, 10), kBasicQosOk = amqp_method(60, 11);
constexpr uint32_t kBasicConsume = amqp_method(60, 20), kBasicConsumeOk = amqp_method(60, 21);
constexpr uint32_t kBasicPublish = amqp_method(60, 40), kBasicDeliver = amqp_method(60, 60);
constexpr uint32_t kBasicAck = amqp_method(60, 80), kBasicNack = amqp_method(60, 120);
constexpr uint32_t kConfirmSelect = amqp_method(85, 10), kConfirmSelectOk = amqp_method(85, 11);

constexpr uint16_t kChannel = 1;
constexpr uint16_t kBasicClass = 60;
constexpr uint16_t kHasDeliveryMode = 0x1000;
constexpr uint8_t kPersistent = 2;
constexpr uint8_t kDurable = 2;
constexpr std::string_view kQuorum("\x0cx-queue-typeS\0\0\0\x06quorum", 24);  // a table of one

class Rabbitmq final : public Session {
 public:
  using Session::Session;
  void begin() override { output_ += std::string_view("AMQP\0\0\x09\x01", 8); }
  size_t take(std::string_view bytes) override;
  void send(const std::vector<std::string>& bodies) override;
  void tick() override { acknowledge(); }

 private:
  void say(uint16_t channel) { writer_.frame(FrameKind::kMethod, channel, output_); }
  void log_in();
  void agree(AmqpReader arguments);
  void channel_opened();
  void understand(const AmqpFrame& frame);
  void take_method(uint32_t method, AmqpReader arguments);
  void confirmed(AmqpReader arguments);
  void acknowledge();

  AmqpWriter writer_;
  uint64_t published_ = 0;          // of a producer: the last one
  std::set<uint64_t> unconfirmed_;  // likewise
  uint64_t delivered_ = 0;          // of a consumer: the last one
  size_t unsettled_ = 0;            // of those
};

void Rabbitmq::log_in() {
  writer_.four(kConnectionStartOk).four(0);  // no properties
  writer_.name("PLAIN").text(std::string_view("\0guest\0guest", 12)).name("en_US");
  say(0);
}

// Without heartbeats.
void Rabbitmq::agree(AmqpReader arguments) {
  const auto channels = static_cast<uint16_t>(arguments.number(2));
  const auto frame = static_cast<uint32_t>(arguments.number(4));
  writer_.four(kConnectionTuneOk).two(channels).four(frame).two(0);
  say(0);
  writer_.four(kConnectionOpen).name("/").name("").byte(0);
  say(0);
}

void Rabbitmq::channel_opened() {
  switch (terms_.part) {
    case Part::kSetUp:
      writer_.four(kQueueDeclare).two(0).name(terms_.queue).byte(kDurable);
      writer_.text(kQuorum);
      return say(kChannel);
    case Part::kTearDown:
      writer_.four(kQueueDelete).two(0).name(terms_.queue).byte(0);
      return say(kChannel);
    case Part::kProducer:
      writer_.four(kConfirmSelect).byte(0);
      return say(kChannel);
    case Part::kConsumer:
      writer_.four(kBasicQos).four(0).two(static_cast<uint16_t>(terms_.batch)).byte(0);
      return say(kChannel);
  }
}

void Rabbitmq::send(const std::vector<std::string>& bodies) {
  for (const std::string& body : bodies) {
    writer_.four(kBasicPublish).two(0).name("").name(terms_.queue).byte(0);
    say(kChannel);
    writer_.two(kBasicClass).two(0).eight(body.size()).two(kHasDeliveryMode).byte(kPersistent);
    writer_.frame(FrameKind::kHeader, kChannel, output_);
    writer_.bytes(body).frame(FrameKind::kBody, kChannel, output_);
    unconfirmed_.insert(++published_);
  }
}

void Rabbitmq::confirmed(AmqpReader arguments) {
  const uint64_t tag = arguments.number(8);
  const bool several = arguments.number(1) != 0;
  const size_t before = unconfirmed_.size();
  unconfirmed_.erase(several ? unconfirmed_.begin() : unconfirmed_.lower_bound(tag),
                     unconfirmed_.upper_bound(tag));
  if (unconfirmed_.size() < before) events_.on_sent(before - unconfirmed_.size());
}

void Rabbitmq::acknowledge() {
  if (unsettled_ == 0) return;
  writer_.four(kBasicAck).eight(delivered_).byte(unsettled_ > 1 ? 1 : 0);
  say(kChannel);
  events_.on_settled(std::exchange(unsettled_, 0));
}

void Rabbitmq::take_method(uint32_t method, AmqpReader arguments) {
  switch (method) {
    case kConnectionStart:
      return log_in();
    case kConnectionTune:
      return agree(arguments);
    case kConnectionOpenOk:
      writer_.four(kChannelOpen).name("");
      return say(kChannel);
    case kChannelOpenOk:
      return channel_opened();
    case kBasicQosOk:
      writer_.four(kBasicConsume).two(0).name(terms_.queue).name("").byte(0).text("");
      return say(kChannel);
    case kQueueDeclareOk:
    case kQueueDeleteOk:
    case kConfirmSelectOk:
    case kBasicConsumeOk:
      return events_.on_ready();
    case kBasicAck:
      return confirmed(arguments);
    case kBasicDeliver:
      arguments.name();
      delivered_ = arguments.number(8);
      return;
    case kBasicNack:
      return events_.on_failed("a publication was refused");
    case kConnectionClose:
    case kChannelClose:
      arguments.number(2);
      return events_.on_failed(arguments.name());
    default:
      return;
  }
}

void Rabbitmq::understand(const AmqpFrame& frame) {
  AmqpReader reader(frame.payload);
  if (frame.kind == FrameKind::kMethod) {
    const auto method = static_cast<uint32_t>(reader.number(4));
    take_method(method, reader);
  } else if (frame.kind == FrameKind::kBody) {  // messages are smaller than frames
    events_.on_received(frame.payload);
    if (++unsettled_ >= (terms_.batch + 1) / 2) acknowledge();
  }
}

size_t Rabbitmq::take(std::string_view bytes) {
  size_t at = 0;
  bool bad = false;
  while (const auto frame = take_frame(bytes, at, bad)) understand(*frame);
  if (bad) events_.on_failed("what is no frame of AMQP");
  return at;
}

}  // namespace

std::unique_ptr<Session> make_rabbitmq(const Terms& terms, SessionEvents& events) {
  return std::make_unique<Rabbitmq>(terms, events);
}

}  // namespace kvd::peers
