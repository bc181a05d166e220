// See tasks.hpp.
#include "core/services/tasks.hpp"

namespace kvd {

void Tasks::handle(ServiceMessage&& message) {
  if (auto* asked = std::get_if<ServiceAsked>(&message)) {
    out_.desk.post(ServiceAnswered{
        asked->token, {Verdict::kUnavailable, "not there yet", Form::kJson, {}}, false, true});
  }
}

}  // namespace kvd
