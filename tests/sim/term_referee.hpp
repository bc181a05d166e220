// Judges how long keys live, by the committed entries and by what clients are told: a model of its own of terms and
// leases, made of the entries' effects. It has the log's clock of each entry, and, apart from that, the true time at
// which it was appended.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/time.hpp"
#include "core/replica/leases.hpp"
#include "core/replica/terms.hpp"
#include "msg/client.hpp"

namespace kvd::sim {

// All times are true ones, with what jumps of servers' clocks may have added by then. A judgement is empty, or says
// what is wrong.
class TermReferee {
 public:
  // `rate_ppm`: so many millionths of a span a clock may be wrong by.
  explicit TermReferee(int64_t rate_ppm = 0) : rate_ppm_(rate_ppm) {}
  // The next committed entry; `appended`: none, if nobody saw when.
  std::string on_entry(const Entry& entry, std::optional<Instant> appended);
  // What a client was told that had asked at `asked`.
  std::string on_answer(const StoreCall& call, const StoreAnswer& answer, Instant asked);

  // Whether there is such a lease, by what is committed.
  bool lives(uint64_t lease) const { return lease_of_id(lease, newest_) != nullptr; }
  // What lives only for a time, and is still there by what is committed. Empty: nothing.
  std::string left() const;

 private:
  struct Given {  // a term or a lease, as one entry left it
    uint64_t deadline = 0;
    uint64_t ttl = 0;
    uint64_t lease = 0;  // of a term
    std::optional<Instant> at;
  };
  // By the revisions of what made it so; none: it is gone.
  using Past = std::map<Revision, std::optional<Given>>;
  // A time before which it must not end by itself, and when it did.
  struct Promise {
    Instant until{};
    std::optional<Instant> ended;
  };

  static const Given* at(const Past& past, Revision revision);
  const Given* term_of_key(const std::string& key, Revision revision) const;
  const Given* lease_of_id(uint64_t id, Revision revision) const;
  void begin(const Entry& entry);
  std::string judge_expired(const Entry& entry, const Record& effect, std::optional<Instant> appended);
  std::string judge_due(const Entry& entry, const Given& given, const std::string& what,
                        std::optional<Instant> appended) const;
  std::string judge_end_of_lease(const Entry& entry, uint64_t id) const;
  std::string judge_after(const std::string& key) const;
  void apply(const Entry& entry, const Record& effect, std::optional<Instant> appended);
  Duration lasts(uint64_t ms) const;
  static std::string promised(Promise& promise, Instant until, const std::string& what);
  std::string on_term(const std::string& key, const Term& term, Revision revision, Instant asked);
  std::string on_batch(const WriteBatch& batch, Revision revision, Instant asked);
  std::string on_renewals(const RenewLeases& asked_for, const LeasesRenewed& renewed, Instant asked);
  std::string on_found(const std::string& key, const Lifetime& life, Revision revision) const;
  std::string on_lease(const LeaseInfo& info, Revision revision) const;

  int64_t rate_ppm_;
  Revision newest_;
  bool followed_ = false;  // every entry since the lineage began
  std::set<std::string, std::less<>> keys_;
  std::map<std::string, Past> terms_;
  std::map<uint64_t, Past> leases_;
  std::map<uint64_t, std::set<std::string>> attached_;
  std::map<std::pair<std::string, Revision>, Promise> of_terms_;
  std::map<uint64_t, Promise> of_leases_;
};

}  // namespace kvd::sim
