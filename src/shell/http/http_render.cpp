// See http_api.hpp: the half that turns the node's replies into HTTP answers.
#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.hpp"
#include "msg/znodes.hpp"
#include "shell/http/http_api.hpp"
#include "shell/http/http_auth.hpp"
#include "shell/http/http_backup.hpp"
#include "shell/http/http_queue_render.hpp"
#include "shell/http/http_text.hpp"
#include "shell/http/http_topic_render.hpp"
#include "shell/http/status_page.hpp"

namespace kvd {
namespace {

struct ErrorForm {
  uint16_t status;
  std::string_view kind;
};

ErrorForm form_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNoLeader:
      return {503, "no-leader"};
    case ErrorCode::kNotEnoughInSync:
      return {503, "not-enough-in-sync"};
    case ErrorCode::kOverloaded:
      return {503, "overloaded"};
    case ErrorCode::kNotReady:
      return {503, "not-ready"};
    case ErrorCode::kTimedOut:
      return {504, "timed-out"};
    case ErrorCode::kSteppedDown:
      return {503, "stepped-down"};
    case ErrorCode::kLinkLost:
      return {503, "link-lost"};
    case ErrorCode::kTooLarge:
      return {413, "too-large"};
    case ErrorCode::kShuttingDown:
      return {503, "shutting-down"};
    case ErrorCode::kInvalid:
      return {400, "bad-request"};
    case ErrorCode::kKeyReused:
      return {422, "idempotency-key-reused"};
    case ErrorCode::kNotInSync:
      return {409, "not-in-sync"};
    case ErrorCode::kKeyEvicted:
      return {409, "idempotency-key-evicted"};
    case ErrorCode::kDiskFull:
      return {507, "disk-full"};
    case ErrorCode::kMemoryFull:
      return {507, "memory-full"};
    case ErrorCode::kNotEmpty:
      return {409, "not-empty"};
    case ErrorCode::kNotANumber:
      return {409, "not-a-number"};
    case ErrorCode::kOverflow:
      return {409, "overflow"};
    case ErrorCode::kLeaseOver:
      return {410, "lease-over"};
    case ErrorCode::kLeaseFull:
      return {409, "lease-full"};
    case ErrorCode::kNoQueue:
      return {404, "no-queue"};
    case ErrorCode::kNoMessage:
      return {404, kNoMessageKind};
    case ErrorCode::kQueueFull:
      return {507, "queue-full"};
    case ErrorCode::kQueueCycle:
      return {409, "queue-cycle"};
    case ErrorCode::kStale:
      return {412, "stale"};
    case ErrorCode::kNoTopic:
      return {404, "no-topic"};
    case ErrorCode::kUnauthenticated:
      return {401, "unauthenticated"};
    case ErrorCode::kForbidden:
      return {403, "forbidden"};
    case ErrorCode::kNoAccess:
      return {404, "no-such-name"};
    case ErrorCode::kAccessExists:
      return {409, "exists"};
  }
  return {503, "unavailable"};
}

bool lists(const EntityTags& tags, Revision revision) {
  return tags.any ||
         std::find(tags.revisions.begin(), tags.revisions.end(), revision) != tags.revisions.end();
}

HttpResponse plain(uint16_t status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.content_type = kPlainText;
  response.body = std::move(text);
  if (status == 503) add_field(response, "Retry-After", "1");
  return response;
}

// One member of a transaction's "results".
struct OpResultJson {
  JsonWriter& json;
  Revision own;  // of what the transaction itself wrote

  void operator()(const OpPut& put) const { one("created", put.created); }
  void operator()(const OpDeleted& remove) const { one("deleted", remove.deleted); }
  void operator()(const OpAdded& add) const { one("value", add.value); }
  void operator()(const OpAppended& append) const { one("created", append.created); }
  void operator()(const OpFound& found) const {
    json.begin_object().bytes_member("value", found.value.view());
    json.member("revision", (found.revision == Revision(0) ? own : found.revision).value).end_object();
  }
  void operator()(const OpMissing&) const { json.null(); }
  void operator()(const OpTouched& touch) const { one("touched", touch.touched); }
  void operator()(const OpAcked&) const { json.begin_object().end_object(); }
  void operator()(const OpSent& sent) const {
    json.begin_object().member("id", to_text(sent.id));
    if (sent.duplicate) json.member("duplicate", true);
    json.end_object();
  }

 private:
  void one(std::string_view name, auto content) const {
    json.begin_object().member(name, content).end_object();
  }
};

class Renderer : public TopicRenderer {
 public:
  Renderer(const ReplyPlan& plan, const StoreAnswer& reply, const HttpIdentity& identity,
           const HttpCounters& counters)
      : TopicRenderer(plan, reply), identity_(identity), counters_(counters) {}
  using TopicRenderer::operator();

  HttpResponse operator()(const KeyFound& found) const {
    const Condition& condition = plan_.condition;
    Revision modified = found.item.modified();
    if (condition.if_match && !lists(*condition.if_match, modified)) return condition_failed(modified);
    HttpResponse response;
    bool unchanged = condition.if_none_match && lists(*condition.if_none_match, modified);
    if (unchanged) {
      response.status = 304;
    } else {
      response.content_type = kOctets;
      response.value = found.item.bytes();
    }
    response.etag = modified;
    if (found.life.left_ms) append_field(response.fields, "Kvd-Ttl-Ms", *found.life.left_ms);
    if (found.life.lease != 0) append_field(response.fields, "Kvd-Lease", found.life.lease);
    mark_incomplete(response, found.complete);
    return response;
  }
  HttpResponse operator()(const KeyMissing& missing) const {
    if (plan_.condition.if_match) return condition_failed(std::nullopt);
    HttpResponse response;
    response.status = 404;
    mark_incomplete(response, missing.complete);
    return response;
  }
  HttpResponse operator()(const Listing& listing) const {
    JsonWriter json;
    json.begin_object().member("revision", reply_.revision.value).key("items").begin_array();
    for (const Record& item : listing.items) {
      json.begin_object();
      json.bytes_member("key", item.key());
      if (!plan_.keys_only) json.bytes_member("value", item.value());
      json.member("revision", item.modified().value).member("version", item.version()).end_object();
    }
    json.end_array().end_object();
    HttpResponse response = json_response(200, json);
    if (listing.more && !listing.items.empty()) {
      add_next_page(response, plan_.text, percent_encode(listing.items.back().key()));
    }
    mark_incomplete(response, listing.complete);
    return response;
  }
  HttpResponse operator()(const TokenMade& made) const { return render_token(plan_, made); }
  HttpResponse operator()(const KeyWritten& written) const {
    if (plan_.route == Route::kAuth) return render_access_written(written, reply_.revision);
    JsonWriter json;
    json.begin_object();
    json.bytes_member("key", plan_.text);
    json.member("revision", reply_.revision.value).member("created", written.created).end_object();
    HttpResponse response = json_response(written.created ? 201 : 200, json);
    response.etag = reply_.revision;
    return response;
  }
  HttpResponse operator()(const KeyDeleted&) const { return empty_response(204); }
  HttpResponse operator()(const KeyAbsent&) const { return empty_response(404); }
  HttpResponse operator()(const PrefixDeleted& deleted) const {
    JsonWriter json;
    json.begin_object().member("deleted", deleted.count);
    if (plan_.limit != 0) json.member("more", deleted.count == plan_.limit);
    json.end_object();
    return json_response(200, json);
  }
  HttpResponse operator()(const BatchWritten&) const {
    JsonWriter json;
    json.begin_object().member("revision", reply_.revision.value).end_object();
    return json_response(200, json);
  }
  HttpResponse operator()(const Box<TxnDone>& box) const {
    const TxnDone& done = *box;
    JsonWriter json;
    json.begin_object().member("succeeded", done.succeeded).member("revision", reply_.revision.value);
    json.key("results").begin_array();
    for (const OpResult& result : done.results) std::visit(OpResultJson{json, reply_.revision}, result);
    json.end_array().end_object();
    return json_response(200, json);
  }
  HttpResponse operator()(const NumberIs& number) const {
    JsonWriter json;
    json.begin_object();
    json.bytes_member("key", plan_.text);
    json.member("value", number.value).member("revision", reply_.revision.value).end_object();
    HttpResponse response = json_response(200, json);
    response.etag = reply_.revision;
    return response;
  }
  HttpResponse operator()(const KeyTouched& touched) const {
    JsonWriter json;
    json.begin_object().member("left_ms", touched.left_ms).end_object();
    return json_response(200, json);
  }
  HttpResponse operator()(const LeaseGranted& granted) const {
    JsonWriter json;
    json.begin_object().member("lease", granted.id).member("ttl_ms", granted.ttl_ms).end_object();
    HttpResponse response = json_response(201, json);
    add_field(response, "Location", fmt::format("/v1/leases/{}", granted.id));
    return response;
  }
  // The lease keeper alone asks for it.
  HttpResponse operator()(const LeaseTaken&) const { return empty_response(204); }
  HttpResponse operator()(const LeasesRenewed& renewed) const {
    JsonWriter json;
    if (plan_.one) {
      const std::optional<uint64_t>& left = renewed.left_ms.front();
      if (!left) return (*this)(lease_over());
      json.begin_object().member("left_ms", *left).end_object();
      return json_response(200, json);
    }
    json.begin_object().key("results").begin_array();
    for (const std::optional<uint64_t>& left : renewed.left_ms) {
      if (left) {
        json.begin_object().member("left_ms", *left).end_object();
      } else {
        json.null();
      }
    }
    json.end_array().end_object();
    return json_response(200, json);
  }
  HttpResponse operator()(const LeaseEnded&) const { return empty_response(204); }
  HttpResponse operator()(const Box<LeaseFound>& box) const {
    JsonWriter json;
    json.begin_object();
    write_lease(json, box->lease);
    if (plan_.keys_only) {
      json.key("keys").begin_array();
      for (const std::string& key : box->keys) {
        if (is_utf8(key)) {
          json.value(key);
        } else {
          json.begin_object().bytes_member("key", key).end_object();
        }
      }
      json.end_array();
    }
    json.end_object();
    HttpResponse response = json_response(200, json);
    mark_incomplete(response, box->complete);
    return response;
  }
  HttpResponse operator()(const LeaseList& list) const {
    JsonWriter json;
    json.begin_object().key("leases").begin_array();
    for (const LeaseInfo& lease : list.leases) {
      json.begin_object();
      write_lease(json, lease);
      json.end_object();
    }
    json.end_array().end_object();
    HttpResponse response = json_response(200, json);
    if (list.more) {
      add_next_page(response, plan_.text, std::to_string(list.leases.back().id));
    }
    mark_incomplete(response, list.complete);
    return response;
  }
  HttpResponse operator()(const ConditionFailed& failed) const { return condition_failed(failed.current); }
  HttpResponse operator()(const Box<Fenced>& box) const {
    const Fenced& fenced = *box;
    Problem problem;
    problem.status = 412;
    problem.kind = "fenced";
    problem.detail = fmt::format("the resource '{}' has seen the token {}, and this write came with {}",
                                 fenced.fence.resource, fenced.current, fenced.fence.token);
    problem.outcome = Outcome::kNotApplied;
    problem.current_fence = fenced.current;
    return problem_response(problem);
  }
  HttpResponse operator()(const SettingsChanged& changed) const {
    JsonWriter json;
    json.begin_object().member("min_in_sync", changed.min_in_sync).end_object();
    return json_response(200, json);
  }
  HttpResponse operator()(const LeaderMoved& moved) const {
    JsonWriter json;
    json.begin_object().member("leader", moved.leader.value).end_object();
    return json_response(200, json);
  }
  HttpResponse operator()(const LineageForced& forced) const {
    JsonWriter json;
    json.begin_object().member("lineage", forced.lineage.value).end_object();
    return json_response(200, json);
  }
  HttpResponse operator()(const Box<SnapshotPart>& box) const {  // the head alone
    const SnapshotPart& first = *box;
    HttpResponse response;
    response.content_type = kOctets;
    response.streamed = true;
    add_field(response, "Content-Disposition",
              fmt::format("attachment; filename=\"{}\"", backup_name(first)));
    mark_incomplete(response, first.complete);
    return response;
  }
  HttpResponse operator()(const Failed& failed) const {
    if (plan_.route == Route::kLive) return plain(200, "ok\n");  // it refuses, so it is alive
    if (plan_.route == Route::kStat || plan_.route == Route::kMonitor) return raw(failed.detail + "\n");
    ErrorForm form = form_of(failed.code);
    Problem problem;
    problem.status = form.status;
    problem.kind = form.kind;
    problem.detail = failed.detail;
    const bool stranger = form.status == 401 || form.status == 403;  // who is told no more than that
    if (!stranger) problem.leader = reply_.leader;
    problem.https = identity_.https;
    if (plan_.write) problem.outcome = failed.outcome;
    if (failed.op != kNoOp) problem.op = failed.op;
    return problem_response(problem);
  }
  HttpResponse operator()(const Box<Status>& box) const {
    const Status& status = *box;
    switch (plan_.route) {
      case Route::kLive:
        return plain(200, plan_.verbose ? health_text(status) : "ok\n");
      case Route::kReady:
        return ready(status);
      case Route::kLeader:
        return leader(status);
      case Route::kStat:
        return raw(stat_text(status, identity_, counters_));
      case Route::kMonitor:
        return raw(mntr_text(status, identity_, counters_));
      case Route::kMetrics: {
        HttpResponse response = plain(200, metrics_text(status, identity_, counters_));
        response.content_type = kPrometheusText;
        return response;
      }
      case Route::kWhy:
        return json_text(elections_json(status, identity_));
      case Route::kKey:
      case Route::kCollection:
      case Route::kWatch:
      case Route::kLease:
      case Route::kHold:
      case Route::kQueue:
      case Route::kTopic:
      case Route::kSettings:
      case Route::kMove:
      case Route::kBackup:
      case Route::kRestore:
      case Route::kCluster:
      case Route::kService:
      case Route::kAuth:
      case Route::kWhoami:
        break;
    }
    return json_text(cluster_json(status, identity_));
  }

 private:
  static HttpResponse raw(std::string text) {
    HttpResponse response;
    response.status = kRawText;
    response.body = std::move(text);
    response.close = true;
    return response;
  }
  static HttpResponse json_text(std::string text) {
    HttpResponse response;
    response.content_type = kJson;
    response.body = std::move(text);
    return response;
  }
  static void write_lease(JsonWriter& json, const LeaseInfo& lease) {
    json.member("lease", lease.id).member("ttl_ms", lease.ttl_ms).member("left_ms", lease.left_ms);
    json.bytes_member("name", lease.name);
  }
  HttpResponse condition_failed(std::optional<Revision> current) const {
    Problem problem;
    problem.status = 412;
    problem.kind = "condition-failed";
    problem.detail =
        current ? fmt::format("the key is at revision {}", current->value) : "there is no such key";
    problem.current = current;
    if (plan_.write) problem.outcome = Outcome::kNotApplied;
    HttpResponse response = problem_response(problem);
    if (current) response.etag = *current;
    return response;
  }
  HttpResponse ready(const Status& status) const {
    uint16_t code = status.ready ? 200 : 503;
    if (plan_.verbose) return plain(code, health_text(status));
    return plain(code, status.ready ? "ok\n" : fmt::format("not ready: {}\n", status.not_ready));
  }
  HttpResponse leader(const Status& status) const {
    if (status.leader) return plain(200, format_address(status.leader->http) + "\n");
    Problem problem;
    problem.status = 503;
    problem.kind = "no-leader";
    problem.detail = "this server knows no leader";
    return problem_response(problem);
  }

  const HttpIdentity& identity_;
  const HttpCounters& counters_;
};

}  // namespace

HttpResponse render_reply(const ReplyPlan& plan, const StoreAnswer& reply, const HttpIdentity& identity,
                          const HttpCounters& counters) {
  HttpResponse response = std::visit(Renderer(plan, reply, identity, counters), reply.answer);
  response.epoch = reply.epoch;
  response.revision = reply.revision;
  return response;
}

}  // namespace kvd
