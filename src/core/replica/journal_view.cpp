// See journal_view.hpp.
#include "core/replica/journal_view.hpp"

#include <utility>

namespace kvd {
namespace {

JournalOptions options_of(std::string boot) {
  JournalOptions options;
  options.boot = std::move(boot);
  return options;
}

}  // namespace

JournalView::JournalView(Files& files, std::string boot) : journal_(files, options_of(std::move(boot))) {}

FileResult JournalView::read(const std::function<bool(uint64_t done, uint64_t total)>& reached) {
  uint64_t done = 0;
  std::vector<DiskAnswer> answers;
  while (!journal_.judged()) {
    if (!reached(done, found_.bytes)) return {};
    answers.clear();
    if (FileResult error = journal_.read(answers)) return error;
    for (DiskAnswer& answer : answers) {
      if (auto* found = std::get_if<DiskFound>(&answer)) replay_.begin(found_ = std::move(*found));
      if (auto* part = std::get_if<DiskPart>(&answer)) {
        replay_.take(*part, 0);  // nobody catches up from this log
        done = part->bytes;
      }
    }
  }
  replay_.finish();
  opened_ = journal_.verdict();
  return {};
}

}  // namespace kvd
