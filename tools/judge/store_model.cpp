// See store_model.hpp.
#include "judge/store_model.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace kvd::sim {
namespace {

enum class Truth : uint8_t { kNo, kPerhaps, kYes };

Truth both(Truth a, Truth b) { return std::min(a, b); }
Truth opposite(Truth a) {
  return a == Truth::kYes ? Truth::kNo : a == Truth::kNo ? Truth::kYes : Truth::kPerhaps;
}
Truth truth(bool is) { return is ? Truth::kYes : Truth::kNo; }

std::optional<int64_t> number_in(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && std::to_string(number) == text ? std::optional(number) : std::nullopt;
}

// How a number in that range compares with `other`.
Truth range_compares(ModelPlace range, TxnCondition::Is is, uint64_t other) {
  const bool inside = range.least <= other && other <= range.most;
  const Truth equal = !inside ? Truth::kNo : range.least == range.most ? Truth::kYes : Truth::kPerhaps;
  switch (is) {
    case TxnCondition::Is::kEqual:
      return equal;
    case TxnCondition::Is::kNotEqual:
      return opposite(equal);
    case TxnCondition::Is::kLess:
      return range.most < other ? Truth::kYes : range.least < other ? Truth::kPerhaps : Truth::kNo;
    case TxnCondition::Is::kGreater:
      return range.least > other ? Truth::kYes : range.most > other ? Truth::kPerhaps : Truth::kNo;
  }
  return Truth::kNo;
}

// One operation on a copy of the store, step by step.
class Steps {
 public:
  Steps(const ModelStore& store, ModelPlace place) : store_(store), place_(place) {}

  const ModelItem* find(const std::string& key) const {
    const auto found = store_.find(key);
    return found == store_.end() ? nullptr : &found->second;
  }
  bool is_own(const std::string& key) const { return own_.contains(key); }

  bool put(const std::string& key, std::string value) {  // true: it was not there
    const auto [item, created] = store_.try_emplace(key);
    const bool first = own_.insert(key).second;
    if (!created && first) ++item->second.version;
    item->second.value = std::move(value);
    item->second.revision = place_;
    return created;
  }
  bool remove(const std::string& key) {
    own_.insert(key);
    return store_.erase(key) != 0;
  }
  // The sum; nothing when there is none.
  std::optional<int64_t> add(const std::string& key, int64_t by) {
    const ModelItem* now = find(key);
    const std::optional<int64_t> before = now != nullptr ? number_in(now->value) : 0;
    int64_t sum = 0;
    if (!before || __builtin_add_overflow(*before, by, &sum)) return std::nullopt;
    put(key, std::to_string(sum));
    return sum;
  }
  bool append(const std::string& key, std::string_view bytes) {
    const ModelItem* now = find(key);
    return put(key, (now != nullptr ? now->value : "") + std::string(bytes));
  }
  ModelStore take() { return std::move(store_); }

 private:
  ModelStore store_;
  ModelPlace place_;
  std::set<std::string> own_;
};

Truth tags_match(const EntityTags& tags, const ModelItem* now) {
  if (now == nullptr) return Truth::kNo;
  if (tags.any) return Truth::kYes;
  Truth any = Truth::kNo;
  for (const Revision tag : tags.revisions)
    any = std::max(any, range_compares(now->revision, TxnCondition::Is::kEqual, tag.value));
  return any;
}

Truth condition_is_met(const Condition& condition, const ModelItem* now) {
  Truth all = Truth::kYes;
  if (condition.if_match) all = both(all, tags_match(*condition.if_match, now));
  if (condition.if_none_match) all = both(all, opposite(tags_match(*condition.if_none_match, now)));
  return all;
}

Truth value_is(const ModelItem* now, const TxnCondition& condition) {
  const bool equal = now != nullptr && now->value == condition.value.view();
  if (condition.is == TxnCondition::Is::kEqual) return truth(equal);
  if (condition.is == TxnCondition::Is::kNotEqual) return truth(!equal);
  const std::optional<int64_t> here = now != nullptr ? number_in(now->value) : std::nullopt;
  const std::optional<int64_t> there = number_in(condition.value.view());
  if (!here || !there) return Truth::kNo;
  return truth(condition.is == TxnCondition::Is::kLess ? *here < *there : *here > *there);
}

Truth txn_condition_is_met(const TxnCondition& condition, const ModelItem* now) {
  switch (condition.of) {
    case TxnCondition::Of::kExists:
      return truth((now != nullptr) == (condition.number == 1));
    case TxnCondition::Of::kRevision:
      return range_compares(now != nullptr ? now->revision : ModelPlace{}, condition.is, condition.number);
    case TxnCondition::Of::kVersion: {
      const uint64_t version = now != nullptr ? now->version : 0;
      return range_compares({version, version}, condition.is, condition.number);
    }
    case TxnCondition::Of::kValue:
      return value_is(now, condition);
    case TxnCondition::Of::kLease:
    case TxnCondition::Of::kReceipt:
      return Truth::kPerhaps;  // the model knows no leases, and no queues
  }
  return Truth::kNo;
}

// False: the operation cannot be done, or not with that result (null: any).
bool txn_step(Steps& steps, const TxnOp& op, const OpResult* told) {
  switch (op.kind) {
    case TxnOp::Kind::kPut: {
      const bool created = steps.put(op.key, std::string(op.value.view()));
      const auto* put = told != nullptr ? std::get_if<OpPut>(told) : nullptr;
      return told == nullptr || (put != nullptr && put->created == created);
    }
    case TxnOp::Kind::kDelete: {
      const bool deleted = steps.remove(op.key);
      const auto* gone = told != nullptr ? std::get_if<OpDeleted>(told) : nullptr;
      return told == nullptr || (gone != nullptr && gone->deleted == deleted);
    }
    case TxnOp::Kind::kAdd: {
      const std::optional<int64_t> sum = steps.add(op.key, op.by);
      const auto* added = told != nullptr ? std::get_if<OpAdded>(told) : nullptr;
      return sum && (told == nullptr || (added != nullptr && added->value == *sum));
    }
    case TxnOp::Kind::kAppend: {
      const bool created = steps.append(op.key, op.value.view());
      const auto* appended = told != nullptr ? std::get_if<OpAppended>(told) : nullptr;
      return told == nullptr || (appended != nullptr && appended->created == created);
    }
    case TxnOp::Kind::kTouch: {
      const bool present = steps.find(op.key) != nullptr;
      const auto* touched = told != nullptr ? std::get_if<OpTouched>(told) : nullptr;
      return told == nullptr || (touched != nullptr && touched->touched == present);
    }
    case TxnOp::Kind::kAck:
    case TxnOp::Kind::kSend:
      return true;  // it changes no key
    case TxnOp::Kind::kGet:
      break;
  }
  if (told == nullptr) return true;
  const ModelItem* now = steps.find(op.key);
  if (now == nullptr) return std::holds_alternative<OpMissing>(*told);
  const auto* found = std::get_if<OpFound>(told);
  if (found == nullptr || found->value.view() != now->value) return false;
  if (found->revision == Revision(0)) return steps.is_own(op.key);
  return now->revision.least <= found->revision.value && found->revision.value <= now->revision.most;
}

std::optional<ModelStore> branch_outcome(const ModelStore& store, const std::vector<TxnOp>& ops,
                                         const TxnDone* told, ModelPlace place) {
  if (told != nullptr && told->results.size() != ops.size()) return std::nullopt;
  Steps steps(store, place);
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!txn_step(steps, ops[i], told != nullptr ? &told->results[i] : nullptr)) return std::nullopt;
  }
  return steps.take();
}

// One operation, as a visitor of its kinds.
struct Possible {
  const ModelStore& store;
  const Answer* answer;  // null: not known
  ModelPlace place;

  template <class Told>
  const Told* told() const {
    return answer != nullptr ? std::get_if<Told>(answer) : nullptr;
  }
  const ModelItem* at(const std::string& key) const {
    const auto found = store.find(key);
    return found == store.end() ? nullptr : &found->second;
  }
  bool may_be(const Condition& condition, const std::string& key) const {
    return condition_is_met(condition, at(key)) != Truth::kNo;
  }

  std::vector<ModelStore> operator()(const PutKey& put) const {
    const auto* written = told<KeyWritten>();
    if (!may_be(put.condition, put.key) || (answer != nullptr && written == nullptr)) return {};
    Steps steps(store, place);
    const bool created = steps.put(put.key, std::string(put.value.view()));
    if (written != nullptr && written->created != created) return {};
    return {steps.take()};
  }
  std::vector<ModelStore> operator()(const DeleteKey& remove) const {
    if (!may_be(remove.condition, remove.key) || (answer != nullptr && told<KeyDeleted>() == nullptr))
      return {};
    Steps steps(store, place);
    if (!steps.remove(remove.key)) return {};
    return {steps.take()};
  }
  std::vector<ModelStore> operator()(const AddNumber& add) const {
    const auto* number = told<NumberIs>();
    if (!may_be(add.condition, add.key) || (answer != nullptr && number == nullptr)) return {};
    Steps steps(store, place);
    const std::optional<int64_t> sum = steps.add(add.key, add.by);
    if (!sum || (number != nullptr && number->value != *sum)) return {};
    return {steps.take()};
  }
  std::vector<ModelStore> operator()(const AppendBytes& append) const {
    const auto* written = told<KeyWritten>();
    if (!may_be(append.condition, append.key) || (answer != nullptr && written == nullptr)) return {};
    Steps steps(store, place);
    const bool created = steps.append(append.key, append.value.view());
    if (written != nullptr && written->created != created) return {};
    return {steps.take()};
  }
  std::vector<ModelStore> operator()(const Box<Transaction>& box) const {
    const auto* done = told<Box<TxnDone>>();
    if (answer != nullptr && done == nullptr) return {};
    const TxnDone* results = done != nullptr ? &**done : nullptr;
    Truth all = Truth::kYes;
    for (const TxnCondition& condition : box->conditions)
      all = both(all, txn_condition_is_met(condition, at(condition.key)));
    std::vector<ModelStore> possible;
    const auto try_branch = [&](const std::vector<TxnOp>& ops) {
      if (auto next = branch_outcome(store, ops, results, place)) possible.push_back(std::move(*next));
    };
    if (all != Truth::kNo && (results == nullptr || results->succeeded)) try_branch(box->then_ops);
    if (all != Truth::kYes && (results == nullptr || !results->succeeded)) try_branch(box->else_ops);
    return possible;
  }
  std::vector<ModelStore> operator()(const ReadKey& read) const {
    const ModelItem* now = at(read.key);
    if (now == nullptr) return told<KeyMissing>() != nullptr ? std::vector{store} : std::vector<ModelStore>();
    const auto* found = told<KeyFound>();
    return found != nullptr && is(*now, found->item) ? std::vector{store} : std::vector<ModelStore>();
  }
  // Other operations are none of several keys.
  std::vector<ModelStore> operator()(const auto&) const { return {}; }

  static bool is(const ModelItem& now, const Record& item) {
    const uint64_t modified = item.modified().value;
    return item.value() == now.value && now.revision.least <= modified && modified <= now.revision.most;
  }
};

bool same_keys(const ModelStore& a, const ModelStore& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.value == y.second.value && x.second.version == y.second.version;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

// By what a transaction's results say of each key: whether it was there before, and is behind.
bool results_change_keys(const std::vector<TxnOp>& ops, const std::vector<OpResult>& results) {
  std::map<std::string, std::pair<bool, bool>> there;  // before, behind
  for (size_t i = 0; i < ops.size() && i < results.size(); ++i) {
    if (ops[i].kind == TxnOp::Kind::kGet) continue;
    const auto* put = std::get_if<OpPut>(&results[i]);
    const auto* appended = std::get_if<OpAppended>(&results[i]);
    const auto* gone = std::get_if<OpDeleted>(&results[i]);
    const bool before = put != nullptr        ? !put->created
                        : appended != nullptr ? !appended->created
                        : gone != nullptr     ? gone->deleted
                                              : true;
    const auto [key, first] = there.try_emplace(ops[i].key, before, false);
    key->second.second = gone == nullptr;
  }
  return std::any_of(there.begin(), there.end(),
                     [](const auto& key) { return key.second.first || key.second.second; });
}

}  // namespace

std::vector<ModelStore> outcomes(const ModelStore& store, const Operation& operation, const Answer* answer,
                                 ModelPlace place) {
  std::vector<ModelStore> possible = std::visit(Possible{store, answer, place}, operation);
  if (answer != nullptr) return possible;
  std::erase_if(possible, [&](const ModelStore& next) { return same_keys(next, store); });
  return possible;
}

bool changes_keys(const Operation& operation, const Answer& answer) {
  if (const auto* done = std::get_if<Box<TxnDone>>(&answer)) {
    const Transaction& transaction = *std::get<Box<Transaction>>(operation);
    return results_change_keys((*done)->succeeded ? transaction.then_ops : transaction.else_ops,
                               (*done)->results);
  }
  return std::holds_alternative<KeyWritten>(answer) || std::holds_alternative<KeyDeleted>(answer) ||
         std::holds_alternative<NumberIs>(answer);
}

}  // namespace kvd::sim
