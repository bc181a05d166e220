// See task_layout.hpp.
#include "core/services/tasks/task_layout.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "base/json.hpp"
#include "base/json_writer.hpp"
#include "base/utf8.hpp"
#include "core/services/zk_calls.hpp"
#include "msg/name_rules.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

using simdjson::dom::element;

std::string_view number_of(std::string_view name) { return name.substr(name.size() - kSequenceDigits); }

uint64_t number_in(element object, const char* name, uint64_t otherwise) {
  uint64_t found = 0;
  return object.at_key(name).get_uint64().get(found) == simdjson::SUCCESS ? found : otherwise;
}

std::string text_in(element object, const char* name) {
  std::string_view found;
  return object.at_key(name).get_string().get(found) == simdjson::SUCCESS ? std::string(found)
                                                                          : std::string();
}

}  // namespace

std::string task_path(std::string_view id) { return fmt::format("{}/{}", kTasksPath, id); }
std::string task_data_path(std::string_view id) { return fmt::format("{}/{}", kTaskDataPath, id); }
std::string task_note_path(std::string_view id) { return fmt::format("{}/{}", kTaskNotesPath, id); }
std::string worker_path(std::string_view name) { return fmt::format("{}/{}", kWorkersPath, name); }

bool task_id_usable(std::string_view id) { return task_name_valid(id) && !worker_idle(id); }

bool worker_idle(std::string_view data) { return data.empty() || data == kIdle; }

std::vector<std::string> contenders_in_order(const std::vector<std::string>& children) {
  std::vector<std::string> all;
  std::copy_if(children.begin(), children.end(), std::back_inserter(all), [](const std::string& name) {
    return name.size() >= kSequenceDigits &&
           number_of(name).find_first_not_of("0123456789") == std::string_view::npos;
  });
  std::sort(all.begin(), all.end(),
            [](const std::string& a, const std::string& b) { return number_of(a) < number_of(b); });
  return all;
}

const char* task_end_name(TaskEnd end) {
  switch (end) {
    case TaskEnd::kNone:
      return "open";
    case TaskEnd::kDone:
      return "done";
    case TaskEnd::kFailed:
      return "failed";
    case TaskEnd::kCancelled:
      return "cancelled";
  }
  return "?";
}

std::string encode_task_note(const TaskNote& note) {
  JsonWriter json;
  json.begin_object().member("state", task_end_name(note.end));
  json.member("attempt", note.attempt).member("retries", note.retries);
  if (!note.kind.empty()) json.member("kind", note.kind);
  if (!note.worker.empty()) json.member("worker", note.worker);
  if (!note.progress.empty()) json.member("progress", note.progress);
  if (note.fence != 0) json.member("fence", note.fence);
  if (!note.reason.empty()) json.member("reason", note.reason);
  return json.end_object().take();
}

TaskNote decode_task_note(std::string_view text) {
  simdjson::dom::parser parser;
  element root;
  TaskNote note;
  if (parse_json(parser, text, root) != simdjson::SUCCESS || !root.is_object()) return note;
  const std::string state = text_in(root, "state");
  for (int i = 0; i <= static_cast<int>(kLastTaskEnd); ++i) {
    if (state == task_end_name(static_cast<TaskEnd>(i))) note.end = static_cast<TaskEnd>(i);
  }
  note.attempt = number_in(root, "attempt", 0);
  note.retries = number_in(root, "retries", kUsualRetries);
  note.kind = text_in(root, "kind");
  if (!task_kind_valid(note.kind)) note.kind.clear();
  note.worker = text_in(root, "worker");
  note.progress = text_in(root, "progress");
  note.fence = static_cast<int64_t>(number_in(root, "fence", 0));
  note.reason = text_in(root, "reason");
  return note;
}

bool Task::said_over() const {
  return there && data.size() > id.size() && data.starts_with(id) && data[id.size()] == '=';
}

bool Task::over() const { return said_over() || (there && !note.reason.empty()); }

TaskEnd Task::end() const {
  if (!over()) return TaskEnd::kNone;
  if (!said_over()) return TaskEnd::kFailed;
  return note.end == TaskEnd::kNone ? TaskEnd::kDone : note.end;  // a worker that knows nothing of notes
}

std::string_view Task::result() const {
  if (said_over()) return std::string_view(data).substr(id.size() + 1);
  return there ? std::string_view(note.reason) : std::string_view();
}

ZkOp write_note(const Task& task, const TaskNote& note) {
  if (task.noted) return ZkSet{task_note_path(task.id), encode_task_note(note), task.note_version};
  return ZkCreate{task_note_path(task.id), encode_task_note(note), ZkMode::kPersistent};
}

ZkOp end_task(const Task& task, std::string_view result) {
  return ZkSet{task_path(task.id), fmt::format("{}={}", task.id, result), task.stat.version};
}

void add_failure(ZkMulti& multi, const Task& task, TaskNote note, const std::string& words, bool by_note) {
  note.end = TaskEnd::kFailed;
  if (by_note) note.reason = words;
  if (!by_note) multi.ops.push_back(end_task(task, words));
  multi.ops.push_back(write_note(task, note));
}

bool forbidden_at(const ZkResult& result, size_t operation) {
  return result.codes.size() > operation && result.codes[operation] == ZkCode::kNoAuth;
}

// A note that was written last before the task was made belongs to another that bore the same id before.
void read_task(ZkCalls& zk, const std::string& id, bool watch, std::function<void(ZkCode, Task)> then) {
  auto task = std::make_shared<std::pair<ZkCode, Task>>();
  task->first = ZkCode::kOk;
  task->second.id = id;
  zk.call(ZkGet{task_path(id), watch}, [task](const ZkResult& result) {
    if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode) task->first = result.code;
    task->second.there = result.code == ZkCode::kOk;
    task->second.data = result.data;
    task->second.stat = result.stat;
  });
  zk.call(ZkGet{task_note_path(id)}, [task, then = std::move(then)](const ZkResult& result) {
    if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode) task->first = result.code;
    Task& found = task->second;
    found.noted = result.code == ZkCode::kOk;
    found.note_version = result.stat.version;
    if (found.noted && result.stat.modified_zxid >= found.stat.created_zxid)
      found.note = decode_task_note(result.data);
    then(task->first, std::move(found));
  });
}

}  // namespace kvd
