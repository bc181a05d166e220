// See queue_load.hpp. Messages are sent to the queues in turn, and each queue is received from.
#include "kvload/queue_load.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <numeric>
#include <random>
#include <vector>

#include "kvload/plots.hpp"
#include "kvload/run_command.hpp"
#include "msg/limits.hpp"

namespace kvd::load {
namespace {

MessagePlaces queue_places(const QueueOptions& options) {
  return {options.queues, options.queues, options.consumers, 0, options.backlog, "queues"};
}

class QueueLoad final : public MessageLoad {
 public:
  QueueLoad(const QueueOptions& options, uint64_t seed)
      : MessageLoad(options, queue_places(options), fmt::format("kvload-queue-{:x}-", seed)),
        queues_(options),
        verdict_(options.ttr_ms * kMillisecond) {}
  QueueReport measure() {
    run();
    return {queues_, figures_, verdict_.findings};
  }

 private:
  std::string path_of(size_t queue) const override {
    return fmt::format("/v1/queues/{}{}", figures_.name, queue);
  }
  std::string making_of(size_t) const override {
    return fmt::format("{{\"ttr\":{},\"max_deliveries\":0,\"max_in_flight\":{}}}", queues_.ttr_ms,
                       limits::kInFlightMax);
  }
  size_t place_to_send(uint64_t nth) const override { return nth % queues_.queues; }
  sim::SentMessages& sent_messages() override { return verdict_.sends; }
  sim::Grants& grants(size_t) override { return verdict_.grants; }
  Progress progress() const override { return {verdict_.findings.acknowledged, verdict_.findings.received}; }
  bool make_all() override { return make(all_to_delete()); }
  std::vector<size_t> all_to_delete() const override {
    std::vector<size_t> queues(queues_.queues);
    std::iota(queues.begin(), queues.end(), 0);
    return queues;
  }
  bool judge() override {
    if (figures_.unjudged.empty()) verdict_.grants.judge();
    return verdict_.findings.sound();
  }

  const QueueOptions& queues_;
  sim::QueueVerdict verdict_;
};

}  // namespace

int queue_command(const QueueOptions& options) {
  if (const int code = try_plot(options.outputs); code != EX_OK) return code;
  const QueueReport report = QueueLoad(options, std::random_device()()).measure();
  fmt::print("{}", options.outputs.json ? queue_json(report) : queue_text(report));
  const std::string& name = report.figures.name;
  if (report.figures.left)
    fmt::print(stderr, "kvload: the queues {}0 to {} are left; to delete one: {}\n", name, options.queues - 1,
               curl_delete(options.servers.front(), fmt::format("/v1/queues/{}0", name)));
  if (!report.figures.unmeasured.empty()) return report.exit_code();
  const int plotted = plot_to(options.outputs, queue_plot(report));
  return report.exit_code() != EX_OK ? report.exit_code() : plotted;
}

}  // namespace kvd::load
