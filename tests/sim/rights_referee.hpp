// Judges who may do what, by the committed entries and by what clients are told: a model of its own of users and
// policies, made of the entries' effects, which knows nothing of the core's judge. Keys below kRightsPrefix tell whose
// writes they are: "r/AREA/USER/..".
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "msg/access.hpp"
#include "msg/client.hpp"
#include "msg/record.hpp"

namespace kvd::sim {

inline constexpr std::string_view kRightsPrefix = "r/";

// A judgement is empty, or says what is wrong. What belongs to a lineage that is lost is not judged.
class RightsReferee {
 public:
  struct Need {
    Resource resource = Resource::kKv;
    Right right = Right::kWrite;
    std::string path;
  };
  using Needs = std::vector<Need>;

  // The next committed entry. Rule 19: whose it is had the right to it by the entries before.
  std::string on_entry(const Entry& entry);
  // A leader has appended it; it may be committed one day, or not.
  void on_appended(const Entry& entry);

  // What a user was told: his write is the entry `at`.
  std::string on_done(const std::string& user, const Needs& needs, Revision at) const;
  // ... he may read, by a copy that was as new as `from` when he asked, and as `to` when he was answered.
  std::string on_read(const std::string& user, const Needs& needs, Revision from, Revision to) const;
  // ... he may not. Nobody who could say so had an older copy than `from` when he asked.
  std::string on_refused(const std::string& user, const Needs& needs, ErrorCode code, Revision from) const;
  // What an administrator was told: his change of users or policies is the entry `at`; or, of what replaces all of them
  // and was so before, between there and `from`, which was the newest when he asked.
  std::string on_changed(const Operation& operation, Revision from, Revision at) const;

  Revision newest() const { return newest_; }

 private:
  struct State {
    Epoch epoch;  // of the entry that made it, ...
    uint64_t clock = 0;
    std::map<std::string, Policy, std::less<>> policies;
    std::map<std::string, UserAccount, std::less<>> users;
  };
  struct Appended {
    Epoch epoch;
    uint64_t clock = 0;
    std::vector<std::string> keys;
    std::vector<std::string> gone;  // of these: what is deleted
  };

  const State& state_at(Revision revision) const;
  bool judges(Revision revision) const;
  std::string judge_write(const Entry& entry, const Record& effect) const;
  bool may_be_lost(const std::string& user, ErrorCode code, Revision from) const;
  static bool grants(const State& state, const std::string& user, const Need& need);
  static bool grants(const State& state, const std::string& user, const Needs& needs);
  bool was_as(const ReplaceAccess& all, Revision from, Revision at) const;
  static void apply(State& state, const Record& effect);

  std::map<Revision, State> states_;  // by the revisions that made them
  std::map<Revision, std::vector<Appended>> appended_;
  Revision newest_;
  bool followed_ = true;  // every entry of the newest lineage was seen
};

}  // namespace kvd::sim
