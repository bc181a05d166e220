// See status_page.hpp.
#include "shell/http/status_page.hpp"

#include <fmt/format.h>

#include <iterator>

#include "base/json_writer.hpp"
#include "msg/watch.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

double in_seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

const char* zookeeper_state(const Status& status) {
  return status.standalone ? "none" : zk_state_name(status.zk_state);
}

size_t in_sync_count(const Status& status) { return status.config ? status.config->in_sync.size() : 0; }

void write_members(JsonWriter& json, const Status& status) {
  json.key("members").begin_array();
  for (const MemberStatus& member : status.members) {
    json.begin_object();
    json.member("id", member.info.member.id.value);
    json.member("http", format_address(member.info.http));
    json.member("role", role_name(member.role));
    json.key("match");
    member.match ? json.value(member.match->value) : json.null();
    json.key("lag_ms");
    member.silent ? json.value(to_ms(*member.silent)) : json.null();
    json.end_object();
  }
  json.end_array();
}

void write_register(JsonWriter& json, const Status& status) {
  json.member("cluster", status.config ? status.config->cluster : std::string());
  json.member("lineage", status.config ? status.config->lineage.value : 0);
  json.key("leader");
  if (status.leader) {
    json.begin_object().member("id", status.leader->member.id.value);
    json.member("http", format_address(status.leader->http)).end_object();
  } else {
    json.null();
  }
  json.member("epoch", status.epoch.value).member("revision", status.revision.value);
  json.key("in_sync").begin_array();
  if (status.config) {
    for (const Member& member : status.config->in_sync) json.value(member.id.value);
  }
  json.end_array();
  json.member("min_in_sync", status.config ? status.config->min_in_sync : 0);
}

void write_work(JsonWriter& json, const Status& status) {
  json.key("work");
  if (!status.work) {
    json.null();
    return;
  }
  json.begin_object().member("what", status.work->what).member("unit", status.work->unit);
  json.member("done", status.work->done).member("total", status.work->total);
  json.member("per_second", status.work->per_second).end_object();
}

// Prometheus wants all samples of a name together, below its type.
class Metrics {
 public:
  void type(std::string_view name, std::string_view kind, std::string_view help) {
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, kind);
  }
  template <class T>
  void sample(std::string_view name, std::string_view labels, T number) {
    fmt::format_to(std::back_inserter(text_), "{}{} {}\n", name, labels, number);
  }
  template <class T>
  void gauge(std::string_view name, std::string_view help, T number) {
    type(name, "gauge", help);
    sample(name, "", number);
  }
  void counter(std::string_view name, std::string_view help, uint64_t number) {
    type(name, "counter", help);
    sample(name, "", number);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string label(std::string_view name, std::string_view value) {
  std::string out = fmt::format("{{{}=\"", name);
  for (char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"}";
}

void add_state(Metrics& metrics, const Status& status) {
  metrics.type("kvd_role", "gauge", "1 for the role that this server has, 0 for the others.");
  for (Role role : {Role::kCandidate, Role::kLearner, Role::kSparse, Role::kFollower, Role::kLeader}) {
    metrics.sample("kvd_role", label("role", role_name(role)), status.role == role ? 1 : 0);
  }
  metrics.gauge("kvd_ready", "1 while this server serves (see /readyz).", status.ready ? 1 : 0);
  metrics.gauge("kvd_complete", "1 while this copy misses nothing that it should have.",
                status.complete ? 1 : 0);
  metrics.gauge("kvd_degraded", "Things that are not as they should be (see /v1/cluster).",
                status.degraded.size());
  metrics.gauge("kvd_leader_known", "1 while this server knows a leader.", status.leader ? 1 : 0);
  metrics.gauge("kvd_epoch", "The newest epoch known here.", status.epoch.value);
  metrics.gauge("kvd_revision", "The newest revision applied here.", status.revision.value);
  metrics.gauge("kvd_log_clock_seconds", "The log's own time, which runs while a leader is active.",
                status.log_clock_ms / 1000);
  metrics.gauge("kvd_in_sync_members", "Servers in the in-sync set.", in_sync_count(status));
  metrics.gauge("kvd_min_in_sync", "Fewer servers in sync than this refuse writes.",
                status.config ? status.config->min_in_sync : 0);
  metrics.gauge("kvd_keys", "Keys in this copy.", status.keys);
  metrics.gauge("kvd_terms", "Keys in this copy that live for a time, or by a lease.", status.terms);
  metrics.gauge("kvd_leases", "Leases in this copy.", status.leases);
  metrics.gauge("kvd_queues", "Queues in this copy.", status.queues);
  metrics.gauge("kvd_topics", "Topics in this copy.", status.topics);
  metrics.gauge("kvd_subscriptions", "Subscriptions of topics in this copy.", status.subscriptions);
  metrics.gauge("kvd_messages", "Messages of queues and topics in this copy.", status.messages);
  metrics.gauge(
      "kvd_messages_granted",
      "Messages that were granted, wait, or are dead, in this copy; each once for each subscription.",
      status.deliveries);
  metrics.gauge("kvd_consumers", "Connections to this server that consume a queue or a subscription.",
                status.consumers);
  metrics.gauge("kvd_topic_streams", "Connections to this server that read a topic as a stream.",
                status.topic_streams);
  metrics.gauge("kvd_leases_held", "Leases that connections to this server hold.", status.leases_held);
  metrics.gauge("kvd_value_bytes", "Bytes of values in this copy.", status.value_bytes);
  metrics.gauge("kvd_store_bytes", "About what this copy takes in memory; --max-memory bounds it.",
                status.store_bytes);
  metrics.gauge("kvd_disk_low", "1 while too little space is left on disk for writes that grow.",
                status.disk_low ? 1 : 0);
  metrics.gauge("kvd_waiting_requests", "Client requests that wait in this server.", status.waiting_requests);
  bool connected = status.zk_state == ZkState::kConnected && !status.standalone;
  metrics.gauge("kvd_zookeeper_connected", "1 while the session with ZooKeeper stands.", connected ? 1 : 0);
  metrics.gauge("kvd_uptime_seconds", "Since this server started.", in_seconds(status.uptime));
}

void add_watch(Metrics& metrics, const WatchStatus& watch) {
  metrics.gauge("kvd_watch_streams", "Streams of watches that are open here.", watch.streams);
  metrics.gauge("kvd_watch_polls", "Reads that wait here for a change.", watch.polls);
  metrics.gauge("kvd_watch_history_bytes", "Of the newest changes that are kept; --history bounds it.",
                watch.history_bytes);
  metrics.gauge("kvd_watch_oldest_revision", "Watches may begin behind it, or later.", watch.oldest.value);
  metrics.type("kvd_watch_breaks_total", "counter",
               "Streams that could not go on without a gap, and were told so.");
  for (size_t i = 0; i < kWatchBreaks; ++i) {
    metrics.sample("kvd_watch_breaks_total", label("reason", watch_break_name(static_cast<WatchBreak>(i))),
                   watch.breaks[i]);
  }
}

void add_counters(Metrics& metrics, const Counters& counters) {
  metrics.counter("kvd_writes_total", "Writes committed while leading.", counters.writes);
  metrics.type("kvd_reads_total", "counter", "Reads answered, by kind.");
  metrics.sample("kvd_reads_total", label("read", "local"), counters.reads_local);
  metrics.sample("kvd_reads_total", label("read", "linear"), counters.reads_linear);
  metrics.counter("kvd_forwarded_total", "Forwards to the leader, repeats included.", counters.forwarded);
  metrics.counter("kvd_refused_total", "Failures answered to clients, and to servers that had forwarded.",
                  counters.refused);
  metrics.counter("kvd_elections_total", "Times that this server became the leader.", counters.elections);
  metrics.counter("kvd_step_downs_total", "Times that this server stopped leading.", counters.step_downs);
  metrics.counter("kvd_snapshots_sent_total", "Snapshots begun for other servers.", counters.snapshots_sent);
  metrics.counter("kvd_snapshots_installed_total", "Snapshots taken over from a leader.",
                  counters.snapshots_installed);
  metrics.counter("kvd_expired_total", "Keys that ended by their time while this server led.",
                  counters.expired);
  metrics.counter("kvd_in_sync_changes_total", "Changes of the in-sync set.", counters.in_sync_changes);
}

void add_members(Metrics& metrics, const Status& status) {
  metrics.type("kvd_member_silent_seconds", "gauge",
               "Since this server last heard from that one (lag_ms in /v1/cluster).");
  for (const MemberStatus& member : status.members) {
    if (!member.silent) continue;
    metrics.sample("kvd_member_silent_seconds", label("member", member.info.member.id.value),
                   in_seconds(*member.silent));
  }
  metrics.type("kvd_member_match_revision", "gauge",
               "How far that server's log matches; known to the leader.");
  for (const MemberStatus& member : status.members) {
    if (!member.match) continue;
    metrics.sample("kvd_member_match_revision", label("member", member.info.member.id.value),
                   member.match->value);
  }
}

void add_tls(Metrics& metrics, const Status& status) {
  if (status.tls.empty()) return;
  metrics.type("kvd_tls_certificate_expiry_timestamp_seconds", "gauge",
               "When the certificate that is shown expires, in Unix time.");
  for (const TlsState& tls : status.tls) {
    metrics.sample("kvd_tls_certificate_expiry_timestamp_seconds", label("use", tls.use), tls.expires_s);
  }
}

void add_rights(Metrics& metrics, const Status& status, const HttpCounters& counters) {
  metrics.type("kvd_refused_by_rights_total", "counter",
               "Calls that --auth refuses, or would: of who shows nothing that counts, and of users.");
  metrics.sample("kvd_refused_by_rights_total", label("who", "unknown"),
                 status.counters.unauthenticated + counters.unauthenticated);
  metrics.sample("kvd_refused_by_rights_total", label("who", "user"),
                 status.counters.forbidden + counters.forbidden);
}

void add_audit(Metrics& metrics, const HttpCounters& counters) {
  metrics.counter("kvd_audit_dropped_total", "Lines that the audit log did not take.",
                  counters.audit_dropped);
  metrics.gauge("kvd_audit_failed", "1 while the audit log cannot be written.",
                counters.audit_failed ? 1 : 0);
}

void add_http(Metrics& metrics, const HttpIdentity& identity, const HttpCounters& counters) {
  metrics.gauge("kvd_insecure", "1 while this server may be reached from other machines (--insecure).",
                identity.insecure ? 1 : 0);
  metrics.gauge("kvd_http_connections", "Client connections that are open.", counters.connections_open);
  metrics.counter("kvd_http_connections_total", "Client connections taken.", counters.connections);
  metrics.counter("kvd_http_connections_refused_total", "Client connections beyond the limit.",
                  counters.connections_refused);
  metrics.counter("kvd_http_handshakes_failed_total",
                  "Client connections whose TLS handshake came to nothing.", counters.handshakes_failed);
  metrics.counter("kvd_http_requests_total", "HTTP requests read.", counters.requests);
  metrics.type("kvd_http_responses_total", "counter", "HTTP responses, by class of status.");
  for (int i = 2; i <= 5; ++i) {
    metrics.sample("kvd_http_responses_total", label("code", fmt::format("{}xx", i)), counters.responses[i]);
  }
}

std::string joined_in_sync(const Status& status) {
  std::string out;
  if (!status.config) return out;
  for (const Member& member : status.config->in_sync) out += (out.empty() ? "" : " ") + member.id.value;
  return out;
}

}  // namespace

std::string cluster_json(const Status& status, const HttpIdentity& identity) {
  JsonWriter json;
  json.begin_object();
  json.member("node", identity.node.value).member("role", role_name(status.role));
  write_register(json, status);
  write_members(json, status);
  json.key("zookeeper").begin_object().member("state", zookeeper_state(status));
  json.list_member("servers", identity.zookeeper_servers);
  json.member("session_timeout_ms", to_ms(status.zk_session_timeout)).end_object();
  json.member("complete", status.complete).member("ready", status.ready);
  json.list_member("degraded", status.degraded);
  write_work(json, status);
  json.member("durable", status.durable).member("store_bytes", status.store_bytes);
  json.member("keys", status.keys).member("terms", status.terms).member("leases", status.leases);
  json.member("digest", fmt::format("{:016x}", status.digest));
  json.member("log_clock_ms", status.log_clock_ms);
  json.key("watch")
      .begin_object()
      .member("streams", status.watch.streams)
      .member("polls", status.watch.polls);
  json.member("oldest", status.watch.oldest.value)
      .member("history_bytes", status.watch.history_bytes)
      .end_object();
  json.member("version", identity.version).member("uptime_s", to_ms(status.uptime) / 1000);
  json.end_object();
  return json.take() + "\n";
}

std::string elections_json(const Status& status, const HttpIdentity& identity) {
  JsonWriter json;
  auto span = [&json](std::string_view name, const std::optional<Duration>& value) {
    json.key(name);
    value ? json.value(to_ms(*value)) : json.null();
  };
  json.begin_object().member("node", identity.node.value).key("elections").begin_array();
  for (const ElectionRecord& election : status.elections) {
    json.begin_object().member("epoch", election.epoch.value).member("leader", election.leader.value);
    json.member("cause", election_cause_name(election.cause)).member("ago_ms", to_ms(election.ago));
    span("silent_ms", election.silent);
    span("agreed_ms", election.agreed);
    span("deposed_ms", election.deposed);
    span("activated_ms", election.activated);
    json.end_object();
  }
  json.end_array().end_object();
  return json.take() + "\n";
}

std::string metrics_text(const Status& status, const HttpIdentity& identity, const HttpCounters& counters) {
  Metrics metrics;
  metrics.type("kvd_build_info", "gauge", "Always 1; the version is in its label.");
  metrics.sample("kvd_build_info", label("version", identity.version), 1);
  add_state(metrics, status);
  add_counters(metrics, status.counters);
  add_watch(metrics, status.watch);
  add_members(metrics, status);
  add_tls(metrics, status);
  add_rights(metrics, status, counters);
  add_audit(metrics, counters);
  add_http(metrics, identity, counters);
  return metrics.take();
}

std::string health_text(const Status& status) {
  std::string out;
  auto line = [&out](bool good, std::string_view text) {
    fmt::format_to(std::back_inserter(out), "[{}]{}\n", good ? '+' : '-', text);
  };
  line(status.leader && status.hears_leader,
       status.leader ? fmt::format("leader {} at {}, epoch {}{}", status.leader->member.id.value,
                                   format_address(status.leader->http), status.epoch.value,
                                   status.hears_leader ? "" : ", is not heard")
                     : "leader unknown");
  line(true, fmt::format("role {}, revision {}", role_name(status.role), status.revision.value));
  line(status.complete, status.complete ? "this copy is complete" : "this copy is not complete");
  bool zookeeper = status.standalone || status.zk_state == ZkState::kConnected;
  line(zookeeper, fmt::format("zookeeper {}", zookeeper_state(status)));
  for (const std::string& why : status.degraded) line(false, "degraded: " + why);
  out += status.ready ? "ready\n" : fmt::format("not ready: {}\n", status.not_ready);
  return out;
}

std::string stat_text(const Status& status, const HttpIdentity& identity, const HttpCounters& counters) {
  std::string leader = status.leader ? format_address(status.leader->http) : "unknown";
  return fmt::format(
      "kvd version: {}\nNode: {}\nMode: {}\nLeader: {}\nEpoch: {}\nRevision: {}\nKeys: {}\nIn sync: {}\n"
      "Connections: {}\nOutstanding: {}\nReady: {}\nZooKeeper: {}\nUptime: {} s\n",
      identity.version, identity.node.value, role_name(status.role), leader, status.epoch.value,
      status.revision.value, status.keys, joined_in_sync(status), counters.connections_open,
      status.waiting_requests, status.ready ? "yes" : "no, " + status.not_ready, zookeeper_state(status),
      to_ms(status.uptime) / 1000);
}

std::string mntr_text(const Status& status, const HttpIdentity& identity, const HttpCounters& counters) {
  std::string out;
  auto line = [&out](std::string_view name, const auto& value) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\n", name, value);
  };
  line("kvd_version", identity.version);
  line("zk_server_state", role_name(status.role));
  line("kvd_node", identity.node.value);
  line("kvd_leader", status.leader ? format_address(status.leader->http) : std::string());
  line("kvd_epoch", status.epoch.value);
  line("kvd_revision", status.revision.value);
  line("kvd_keys", status.keys);
  line("kvd_value_bytes", status.value_bytes);
  line("kvd_in_sync_members", in_sync_count(status));
  line("kvd_members", status.members.size());
  line("kvd_ready", status.ready ? 1 : 0);
  line("kvd_complete", status.complete ? 1 : 0);
  line("kvd_degraded", status.degraded.size());
  line("kvd_zookeeper_state", zookeeper_state(status));
  line("kvd_num_alive_connections", counters.connections_open);
  line("kvd_outstanding_requests", status.waiting_requests);
  line("kvd_http_requests_total", counters.requests);
  line("kvd_writes_total", status.counters.writes);
  line("kvd_uptime_s", to_ms(status.uptime) / 1000);
  return out;
}

}  // namespace kvd
