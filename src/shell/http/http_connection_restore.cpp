// See http_connection.hpp: a snapshot that is restored. Its body goes to HttpRestore as it comes, and what that makes
// of it to the node, one batch after the other.
#include <utility>

#include "base/check.hpp"
#include "shell/http/http_connection.hpp"
#include "shell/http/http_restore.hpp"

namespace kvd {
namespace {

// Millions of keys take a while to free, and the loop has others to serve.
void free_elsewhere(uv_loop_t* loop, Store store) {
  struct Work {
    uv_work_t request;
    Store store;
  };
  auto* work = new Work{{}, std::move(store)};
  work->request.data = work;
  uv_queue_work(
      loop, &work->request, [](uv_work_t* request) { static_cast<Work*>(request->data)->store.clear(); },
      [](uv_work_t* request, int) { delete static_cast<Work*>(request->data); });
}

}  // namespace

void HttpConnection::begin_restore(AcceptedHead& accepted) {
  shared_.restoring = true;
  restore_caller_ = accepted.call.caller;
  restorer_ = root_caller("restore");
  restore_ =
      std::make_unique<HttpRestore>(accepted.plan, shared_.options.restore_bytes_max, accepted.call.timeout);
  parser_.stream_body();
}

void HttpConnection::take_restore_body() {
  BytesBuilder& body = parser_.request().body;
  std::optional<HttpResponse> refusal = restore_->take(body.view());
  body.clear();
  if (!refusal) return;
  settle_here(add_slot(), std::move(*refusal));
  accepted_.reset();
  drop_restore();
  last_request();
}

void HttpConnection::write_restore() {
  while (auto next = restore_->writing().next(now())) {
    Call call{request_id(number_, kBatchBit | next->number), StoreCall(), restore_->timeout()};
    StoreCall& store = std::get<StoreCall>(call.what);
    store.operation = std::move(next->operation);
    store.read = next->read;
    call.caller = restorer_;
    shared_.sink(std::move(call));
  }
  if (auto line = restore_->progress(now_ms())) shared_.log(*line);
  auto response = restore_->answer(shared_.options.identity, shared_.counters);
  if (!response) return;
  uint32_t index = (restore_sequence_ - first_sequence_) & kSequenceMask;
  CHECK(index < slots_.size());
  settle_here(slots_[index], std::move(*response));
  drop_restore();
}

void HttpConnection::drop_restore() {
  // The newest first: otherwise one that goes would have the next one sent (as in close()).
  const std::vector<uint32_t> numbers = restore_->under_way();
  for (auto it = numbers.rbegin(); it != numbers.rend(); ++it) {
    shared_.sink(CallCancelled{request_id(number_, kBatchBit | *it)});
  }
  free_elsewhere(shared_.loop, restore_->take_store());
  restore_.reset();
  restore_writes_ = shared_.restoring = false;
}

}  // namespace kvd
