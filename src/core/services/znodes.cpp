// See znodes.hpp.
#include "core/services/znodes.hpp"

namespace kvd {

void Znodes::handle(ServiceMessage&& message) {
  if (auto* asked = std::get_if<ServiceAsked>(&message)) {
    out_.desk.post(ServiceAnswered{
        asked->token, {Verdict::kUnavailable, "not there yet", Form::kJson, {}}, false, true});
  }
}

}  // namespace kvd
