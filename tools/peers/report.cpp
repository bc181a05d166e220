// See drive.hpp: what programs get to read of it. The names are those of `kvload queue --json`.
#include "kvload/report.hpp"

#include <sysexits.h>

#include "base/json_writer.hpp"
#include "peers/drive.hpp"

namespace kvd::peers {
namespace {

void write_peer_side(JsonWriter& json, const char* name, const load::Histogram& latency, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(latency.count()) / seconds : 0;
  json.key(name).begin_object().member("in_time", latency.count()).member("rate", rate);
  load::write_latency(json.key("latency_us"), latency);
  json.end_object();
}

}  // namespace

int PeerReport::exit_code() const {
  if (!unmeasured.empty()) return EX_UNAVAILABLE;
  return lost + unexpected > 0 ? 1 : EX_OK;
}

std::string peer_json(const PeerOptions& options, const PeerReport& report) {
  JsonWriter json;
  json.begin_object().member("command", "queue_peers").member("peer", options.peer_name);
  json.member("ok", report.exit_code() == EX_OK).member("unmeasured", report.unmeasured);
  json.key("options").begin_object().key("servers").begin_array();
  for (const std::string& server : options.servers) json.value(server);
  json.end_array().member("producers", options.producers).member("consumers", options.consumers);
  json.member("rate", options.rate).member("batch", options.batch).member("size", options.bytes);
  json.member("copies", options.copies).member("files", options.files);
  json.member("topic", options.topic).end_object();
  json.member("seconds", report.seconds);
  write_peer_side(json, "sent", report.sends, report.seconds);
  write_peer_side(json, "received", report.deliveries, report.seconds);
  json.member("settled", report.settled).member("drain_s", report.drain_s);
  json.key("verdict")
      .begin_object()
      .member("acknowledged", report.acknowledged)
      .member("received", report.received);
  json.member("duplicates", report.duplicates).member("lost", report.lost);
  json.member("unexpected", report.unexpected).end_object();
  return json.end_object().take() + "\n";
}

}  // namespace kvd::peers
