// How tasks and workers stand in ZooKeeper, so that clients, workers and masters that know nothing of kvd get along
// with its own:
//
//   /tasks/ID         persistent; "ID=RESULT" once the task is over, anything else before (kvd's: nothing)
//   /data/ID          persistent; what is to be done
//   /workers/NAME     ephemeral; the id of the task that it has, "non" (or nothing) while idle
//   /master/master-N  ephemeral sequential; whose number is the smallest assigns (candidacy.hpp)
//   /kvd/tasks/ID     persistent; what only kvd notes of a task, as JSON. One that another program made has none
//                     until it is assigned.
//
// Whether a task is over is told by /tasks/ID alone; the note says how. Only of one that nobody may write to the note
// tells that as well. Which worker has it is told by /workers alone; the note says where to look.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "msg/calls.hpp"
#include "msg/zk.hpp"

namespace kvd {

class ZkCalls;

inline constexpr char kTasksPath[] = "/tasks";
inline constexpr char kTaskDataPath[] = "/data";
inline constexpr char kWorkersPath[] = "/workers";
inline constexpr char kTaskNotesPath[] = "/kvd/tasks";
inline constexpr char kIdle[] = "non";
// So long a task may wait for its data, which other clients make after it; then it has failed.
inline constexpr Duration kTaskDataPatience = seconds(10);

std::string task_path(std::string_view id);
std::string task_data_path(std::string_view id);
std::string task_note_path(std::string_view id);
std::string worker_path(std::string_view name);
bool worker_idle(std::string_view data);
// Others may have made a task whose id no call can name, or which would read as idle in a worker's znode.
bool task_id_usable(std::string_view id);
// The children of /master that are contenders, in the order of their numbers.
std::vector<std::string> contenders_in_order(const std::vector<std::string>& children);

enum class TaskEnd : uint8_t { kNone, kDone, kFailed, kCancelled };
inline constexpr TaskEnd kLastTaskEnd = TaskEnd::kCancelled;
const char* task_end_name(TaskEnd end);  // of kNone: "open"

struct TaskNote {
  TaskEnd end = TaskEnd::kNone;
  uint64_t attempt = 0;  // how often it has been assigned
  uint64_t retries = kUsualRetries;
  std::string kind;      // the client's word
  std::string worker;    // that it was assigned to last
  std::string progress;  // that one's word
  int64_t fence = 0;     // of the attempt whose result it has
  std::string reason;  // of its failure, where /tasks/ID cannot be written to tell: then that is over by this
  bool operator==(const TaskNote&) const = default;
};
std::string encode_task_note(const TaskNote& note);
// What is no such JSON, or misses something, is read as if that had not been written.
TaskNote decode_task_note(std::string_view json);

// All that is known of one task, as of some moment.
struct Task {
  std::string id;
  bool there = false;
  std::string data;  // of /tasks/ID
  ZkStat stat;       // likewise
  TaskNote note;
  bool noted = false;  // the note's znode is there
  int32_t note_version = 0;

  bool said_over() const;  // by its znode
  bool over() const;
  TaskEnd end() const;              // of one that is not over: kNone
  std::string_view result() const;  // empty unless it is over
};

// Parts of transactions.
using ZkOp = decltype(ZkMulti::ops)::value_type;
ZkOp write_note(const Task& task, const TaskNote& note);
ZkOp end_task(const Task& task, std::string_view result);
// Its end as failed, for `words`. `by_note`: ZooKeeper forbids to write to the task, so its note alone tells.
void add_failure(ZkMulti& multi, const Task& task, TaskNote note, const std::string& words, bool by_note);
// Whether ZooKeeper forbade the operation at that place.
bool forbidden_at(const ZkResult& result, size_t operation);

// `watch`: of /tasks/ID. The code is kOk when it is certain what is there, and be it nothing.
void read_task(ZkCalls& zk, const std::string& id, bool watch, std::function<void(ZkCode, Task)> then);

}  // namespace kvd
