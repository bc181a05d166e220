// See topic_load.hpp. The first places are the subscriptions, which are received from; the last one is the topic, which
// is published in and read.
#include "kvload/topic_load.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "kvload/plots.hpp"
#include "kvload/run_command.hpp"

namespace kvd::load {
namespace {

constexpr size_t kReadPage = 1000;     // messages
constexpr uint64_t kReadWaitMs = 200;  // for the next one

MessagePlaces topic_places(const TopicOptions& options) {
  return {options.subscriptions,
          options.subscriptions + 1,
          options.subscriptions * options.consumers,
          options.readers,
          0,
          "subscriptions"};
}

class TopicLoad final : public MessageLoad {
 public:
  TopicLoad(const TopicOptions& options, uint64_t seed)
      : MessageLoad(options, topic_places(options), fmt::format("kvload-topic-{:x}", seed)),
        topic_(options),
        verdict_(options.subscriptions, options.readers, options.ttr_ms * kMillisecond),
        readers_(options.readers) {}
  TopicReport measure() {
    run();
    return {topic_, figures_, verdict_.findings()};
  }

 private:
  struct Reader {
    std::string after = "first";
    bool at_last = false;  // the page under way is of all that there will be
    bool done = false;
  };

  bool is_topic(size_t place) const { return place == topic_.subscriptions; }
  std::string path_of(size_t place) const override {
    const std::string topic = "/v1/topics/" + figures_.name;
    return is_topic(place) ? topic : fmt::format("{}/subscriptions/{}", topic, place);
  }
  std::string making_of(size_t place) const override {
    if (is_topic(place)) return "{}";
    return fmt::format("{{\"from\":\"first\",\"ttr\":{},\"max_deliveries\":0,\"ordered\":{}}}", topic_.ttr_ms,
                       topic_.groups > 0);
  }
  size_t place_to_send(uint64_t) const override { return topic_.subscriptions; }
  sim::SentMessages& sent_messages() override { return verdict_.sends(); }
  sim::Grants& grants(size_t source) override { return verdict_.subscription(source); }
  Progress progress() const override;
  bool make_all() override;
  std::vector<size_t> all_to_delete() const override { return {topic_.subscriptions}; }
  bool judge() override;
  void read(Line& line) override;
  bool take_page(const Line& line, const QueueAnswer& answer) override;
  bool is_all_read() const override {
    return std::all_of(readers_.begin(), readers_.end(), [](const Reader& one) { return one.done; });
  }

  const TopicOptions& topic_;
  sim::TopicVerdict verdict_;
  std::vector<Reader> readers_;
};

TopicLoad::Progress TopicLoad::progress() const {
  const sim::TopicFindings& found = verdict_.findings();
  Progress now{found.published.acknowledged, UINT64_MAX};
  for (const sim::MessageFindings& one : found.subscriptions)
    now.received = std::min(now.received, one.received);
  return now;
}

bool TopicLoad::make_all() {
  if (!make(all_to_delete())) {
    figures_.unmeasured = "the topic was not made";
    return false;
  }
  std::vector<size_t> subscriptions(topic_.subscriptions);
  std::iota(subscriptions.begin(), subscriptions.end(), 0);
  return make(subscriptions);
}

bool TopicLoad::judge() {
  if (figures_.unjudged.empty()) verdict_.judge();
  return verdict_.findings().sound();
}

// Page after page, each as soon as there is something. At the end what is there is asked of the leader.
void TopicLoad::read(Line& line) {
  Reader& reader = readers_[reader_of(line)];
  if (reader.done) return;
  reader.at_last = all_is_sent();
  line.first = verdict_.sends().seen_so_far();
  line.place = topic_.subscriptions;
  const uint64_t wait_ms = reader.at_last ? 0 : kReadWaitMs;
  ask(line, Task::kRead,
      fmt::format("GET /messages?after={}&limit={}&timeout={}&{}", reader.after, kReadPage, kTimeoutMs,
                  reader.at_last ? std::string("read=linear") : fmt::format("wait={}", wait_ms)),
      "", "", wait_ms);
}

bool TopicLoad::take_page(const Line& line, const QueueAnswer& answer) {
  if (answer.more && answer.messages.empty()) return false;
  const size_t index = reader_of(line);
  for (const ReceivedMessage& message : answer.messages)
    verdict_.read(index, message.stamp ? message.stamp->number : sim::SentMessages::kNobody, message.id);
  Reader& reader = readers_[index];
  if (!answer.messages.empty()) reader.after = to_text(answer.messages.back().id);
  reader.done = reader.at_last && !answer.more;
  if (reader.done) verdict_.read_all(index, line.first);
  return true;
}

}  // namespace

int topic_command(const TopicOptions& options) {
  if (const int code = try_plot(options.outputs); code != EX_OK) return code;
  const TopicReport report = TopicLoad(options, std::random_device()()).measure();
  fmt::print("{}", options.outputs.json ? topic_json(report) : topic_text(report));
  if (report.figures.left)
    fmt::print(stderr, "kvload: the topic {} is left; to delete it: {}\n", report.figures.name,
               curl_delete(options.servers.front(), "/v1/topics/" + report.figures.name));
  if (!report.figures.unmeasured.empty()) return report.exit_code();
  const int plotted = plot_to(options.outputs, topic_plot(report));
  return report.exit_code() != EX_OK ? report.exit_code() : plotted;
}

}  // namespace kvd::load
