// The sessions of queue_peers, each against what its server says in a work of two messages: byte by byte, so that
// nothing depends on how it comes; and what they make of refusals.
#include <doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "peers/amqp.hpp"
#include "peers/options.hpp"
#include "peers/session.hpp"

namespace kvd::peers_test {
namespace {

using peers::AmqpWriter;
using peers::FrameKind;
using peers::Part;
using peers::Peer;

// A session and what it told.
struct Talk final : peers::SessionEvents {
  Talk(Peer peer, Part part, size_t batch, size_t copies = 1, bool topic = false)
      : session(peers::make_session(peer, {part, "q", 7, batch, copies, false, topic}, *this)) {
    session->begin();
  }
  void on_ready() override { ready = true; }
  void on_sent(size_t messages) override { sent += messages; }
  void on_received(std::string_view body) override { received.emplace_back(body); }
  void on_settled(size_t messages) override { settled += messages; }
  void on_failed(std::string_view what) override { failure = what; }

  // What it says then.
  std::string hear(std::string_view text) {
    for (const char c : text) {
      left += c;
      left.erase(0, session->take(left));
    }
    return said();
  }
  std::string said() { return std::exchange(session->output(), {}); }
  std::string send(const std::vector<std::string>& bodies) {
    session->send(bodies);
    return said();
  }

  bool ready = false;
  size_t sent = 0;
  std::vector<std::string> received;
  size_t settled = 0;
  std::string failure;
  std::string left;
  std::unique_ptr<peers::Session> session;
};

using Bodies = std::vector<std::string>;

std::string method(uint32_t number, AmqpWriter& arguments) {
  AmqpWriter whole;
  std::string inner;
  arguments.frame(FrameKind::kMethod, 1, inner);
  whole.four(number).bytes(std::string_view(inner).substr(7, inner.size() - 8));
  std::string out;
  whole.frame(FrameKind::kMethod, 1, out);
  return out;
}

std::string method(uint16_t of_class, uint16_t number) {
  AmqpWriter none;
  return method(peers::amqp_method(of_class, number), none);
}

std::string delivery(uint64_t tag, std::string_view body) {
  AmqpWriter writer;
  std::string out =
      method(peers::amqp_method(60, 60), writer.name("t").eight(tag).byte(0).name("").name("q"));
  writer.two(60).two(0).eight(body.size()).two(0).frame(FrameKind::kHeader, 1, out);
  writer.bytes(body).frame(FrameKind::kBody, 1, out);
  return out;
}

std::string acknowledgement(uint64_t tag, bool several) {
  AmqpWriter writer;
  return method(peers::amqp_method(60, 80), writer.eight(tag).byte(several ? 1 : 0));
}

// To where its channel is open.
void log_in(Talk& talk) {
  CHECK(talk.said() == std::string_view("AMQP\0\0\x09\x01", 8));
  CHECK(talk.hear(method(10, 10)).find(std::string_view("PLAIN\0\0\0\x0c\0guest\0guest", 21)) !=
        std::string::npos);
  AmqpWriter limits;
  talk.hear(method(peers::amqp_method(10, 30), limits.two(10).four(131'072).two(60)));
  CHECK(talk.hear(method(10, 41)) ==
        method(20, 10).replace(3, 4, std::string_view("\0\0\0\x05", 4)).insert(11, 1, '\0'));
}

TEST_CASE("beanstalkd: two jobs are put, reserved and deleted") {
  Talk producer(Peer::kBeanstalkd, Part::kProducer, 2);
  CHECK(producer.said() == "use q\r\n");
  producer.hear("USING q\r\n");
  CHECK(producer.ready);
  CHECK(producer.send({"one", "two"}) == "put 0 0 60 3\r\none\r\nput 0 0 60 3\r\ntwo\r\n");
  producer.hear("INSERTED 1\r\nINSERTED 2\r\n");
  CHECK(producer.sent == 2);

  Talk consumer(Peer::kBeanstalkd, Part::kConsumer, 2);
  const std::string both = "reserve-with-timeout 10\r\nreserve-with-timeout 0\r\n";
  CHECK(consumer.said() == "watch q\r\nignore default\r\nuse q\r\n");
  CHECK(consumer.hear("WATCHING 2\r\nWATCHING 1\r\nUSING q\r\n") == both);
  CHECK(consumer.hear("RESERVED 1 3\r\none\r\nTIMED_OUT\r\n") == "delete 1\r\n" + both);
  CHECK(consumer.hear("DELETED\r\nRESERVED 2 4\r\nt\r\no\r\nTIMED_OUT\r\n") == "delete 2\r\n" + both);
  CHECK(consumer.received == Bodies{"one", "t\r\no"});
  CHECK(consumer.settled == 1);
}

TEST_CASE("beanstalkd: one by one a deletion is a request of its own") {
  Talk consumer(Peer::kBeanstalkd, Part::kConsumer, 1);
  consumer.hear("WATCHING 2\r\nWATCHING 1\r\nUSING q\r\n");
  CHECK(consumer.hear("RESERVED 1 3\r\none\r\n") == "delete 1\r\n");
  CHECK(consumer.hear("DELETED\r\n") == "reserve-with-timeout 10\r\n");
  CHECK(consumer.hear("TIMED_OUT\r\n") == "reserve-with-timeout 10\r\n");
  CHECK(consumer.failure.empty());
  consumer.hear("NOT_FOUND\r\n");
  CHECK(consumer.failure == "NOT_FOUND");
}

TEST_CASE("Redis: entries count once the replicas have them") {
  Talk producer(Peer::kRedis, Part::kProducer, 1, 3);
  CHECK(producer.said() == "*1\r\n$4\r\nPING\r\n");
  producer.hear("+PONG\r\n");
  CHECK(producer.ready);
  CHECK(producer.send({"one"}) ==
        "*5\r\n$4\r\nXADD\r\n$1\r\nq\r\n$1\r\n*\r\n$1\r\nm\r\n$3\r\none\r\n"
        "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$4\r\n5000\r\n");
  producer.hear("$3\r\n1-0\r\n");
  CHECK(producer.sent == 0);
  producer.hear(":2\r\n");
  CHECK(producer.sent == 1);
  producer.send({"two"});
  producer.hear("$3\r\n1-1\r\n:1\r\n");
  CHECK(producer.failure == "too few replicas");

  Talk consumer(Peer::kRedis, Part::kConsumer, 1);
  const std::string read = consumer.hear("+PONG\r\n").substr(std::string_view("*1\r\n$4\r\nPING\r\n").size());
  CHECK(read.starts_with("*11\r\n$10\r\nXREADGROUP\r\n"));
  const std::string entry = "*1\r\n*2\r\n$1\r\nq\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nm\r\n$3\r\none\r\n";
  CHECK(consumer.hear("*-1\r\n") == read);
  CHECK(consumer.hear(entry) == "*4\r\n$4\r\nXACK\r\n$1\r\nq\r\n$7\r\nworkers\r\n$3\r\n1-0\r\n");
  CHECK(consumer.received == Bodies{"one"});
  CHECK(consumer.hear(":1\r\n") == read);
  CHECK(consumer.settled == 1);
  consumer.hear("-NOGROUP none\r\n");
  CHECK(consumer.failure == "NOGROUP none");
}

TEST_CASE("NATS: the queue is made, and messages are pulled and acknowledged") {
  Talk maker(Peer::kNats, Part::kSetUp, 1, 3);
  CHECK(maker.said().starts_with("CONNECT {"));
  CHECK(maker.hear("INFO {}\r\nPONG\r\n").starts_with("PUB $JS.API.STREAM.CREATE.q _INBOX.q.7 "));
  CHECK(maker.hear("MSG _INBOX.q.7 1 2\r\n{}\r\n")
            .starts_with("PUB $JS.API.CONSUMER.DURABLE.CREATE.q.workers "));
  CHECK_FALSE(maker.ready);
  maker.hear("MSG _INBOX.q.7 1 2\r\n{}\r\n");
  CHECK(maker.ready);
  maker.hear("MSG _INBOX.q.7 1 12\r\n{\"error\":{}}\r\n");
  CHECK(maker.failure == "{\"error\":{}}");

  for (const bool topic : {false, true}) {
    Talk keeper(Peer::kNats, Part::kSetUp, 1, 3, topic);
    const std::string stream = keeper.hear("PONG\r\n");
    CHECK((stream.find("\"retention\":\"limits\"") != std::string::npos) == topic);
    CHECK((stream.find("\"retention\":\"workqueue\"") == std::string::npos) == topic);
  }

  Talk producer(Peer::kNats, Part::kProducer, 1);
  producer.said();
  CHECK(producer.hear("PING\r\nPONG\r\n") == "PONG\r\n");
  CHECK(producer.send({"one"}) == "PUB q _INBOX.q.7 3\r\none\r\n");
  producer.hear("MSG _INBOX.q.7 1 8\r\n{\"seq\":1\r\n");
  CHECK(producer.sent == 1);

  Talk consumer(Peer::kNats, Part::kConsumer, 2);
  consumer.said();
  const std::string pull = consumer.hear("PONG\r\n");
  CHECK(pull.starts_with("PUB $JS.API.CONSUMER.MSG.NEXT.q.workers _INBOX.q.7 "));
  CHECK(consumer.hear("MSG _INBOX.q.7 1 $JS.ACK.1 3\r\none\r\n") == "PUB $JS.ACK.1 4\r\n+ACK\r\n");
  CHECK(consumer.hear("HMSG _INBOX.q.7 1 32 32\r\nNATS/1.0 408 Request Timeout\r\n\r\n\r\n") == pull);
  CHECK(consumer.received == Bodies{"one"});
  CHECK(consumer.settled == 1);
  consumer.hear("-ERR 'Authorization Violation'\r\n");
  CHECK(consumer.failure == "-ERR 'Authorization Violation'");
}

TEST_CASE("RabbitMQ: publications are confirmed alone or together") {
  Talk producer(Peer::kRabbitmq, Part::kProducer, 3);
  log_in(producer);
  producer.hear(method(20, 11));
  producer.hear(method(85, 11));
  CHECK(producer.ready);
  CHECK(producer.send({"one", "two", "three"}).find("three") != std::string::npos);
  producer.hear(acknowledgement(3, false));
  CHECK(producer.sent == 1);
  producer.hear(acknowledgement(2, true));
  CHECK(producer.sent == 3);
  producer.hear(acknowledgement(3, true));
  CHECK(producer.sent == 3);
  AmqpWriter reason;
  producer.hear(method(peers::amqp_method(20, 40), reason.two(404).name("no queue").two(0).two(0)));
  CHECK(producer.failure == "no queue");
}

TEST_CASE("RabbitMQ: deliveries are acknowledged together") {
  Talk consumer(Peer::kRabbitmq, Part::kConsumer, 4);
  log_in(consumer);
  consumer.hear(method(20, 11));
  consumer.hear(method(60, 11));
  consumer.hear(method(60, 21));
  CHECK(consumer.ready);
  CHECK(consumer.hear(delivery(1, "one")).empty());
  CHECK(consumer.hear(delivery(2, "two")) == acknowledgement(2, true));
  consumer.hear(delivery(3, "three"));
  consumer.session->tick();
  CHECK(consumer.said() == acknowledgement(3, false));
  CHECK(consumer.received == Bodies{"one", "two", "three"});
  CHECK(consumer.settled == 3);
  consumer.hear(std::string_view("\1\0\1\0\0\0\0x", 8));
  CHECK(consumer.failure == "what is no frame of AMQP");
}

TEST_CASE("the command line of queue_peers") {
  const auto options =
      peers::parse_peer_options({"--peer", "nats", "--servers", "a:1,b:2", "--batch", "100", "--files"});
  REQUIRE(options);
  CHECK(options->peer == Peer::kNats);
  CHECK(options->servers == Bodies{"a:1", "b:2"});
  CHECK(options->batch == 100);
  CHECK(options->files);
  CHECK(peers::parse_peer_options({"--peer", "kafka"}).error().code == 64);
  CHECK(peers::parse_peer_options({"--size", "47"}).error().code == 64);
  CHECK_FALSE(options->topic);
  CHECK(peers::parse_peer_options({"--peer", "redis", "--topic"})->topic);
  CHECK(peers::parse_peer_options({"--peer", "rabbitmq", "--topic"}).error().code == 64);
}

}  // namespace
}  // namespace kvd::peers_test
