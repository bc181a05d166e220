// See names.hpp.
#include "core/services/names.hpp"

namespace kvd {

void Names::handle(ServiceMessage&& message) {
  if (auto* asked = std::get_if<ServiceAsked>(&message)) {
    out_.desk.post(ServiceAnswered{
        asked->token, {Verdict::kUnavailable, "not there yet", Form::kJson, {}}, false, true});
  }
}

}  // namespace kvd
