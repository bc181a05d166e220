// A handle of libuv together with what its callbacks need, as a value with an owner. Who lets go of it closes it; its
// memory lives until libuv is done with it, a turn of the loop later. For the parts of this layer only.
#pragma once
#include <uv.h>

#include <memory>

namespace kvd::net {

struct CloseHandle {
  template <class State>
  void operator()(State* state) const {
    uv_close(reinterpret_cast<uv_handle_t*>(&state->uv),
             [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
  }
};

// A State has a handle named `uv`, whose `data` leads back to the State.
template <class State>
using Owned = std::unique_ptr<State, CloseHandle>;

// Not a handle yet: whoever calls this initialises `uv` next.
template <class State>
Owned<State> new_state() {
  Owned<State> state(new State);
  state->uv.data = state.get();
  return state;
}

}  // namespace kvd::net
