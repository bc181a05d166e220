// Small helpers around libuv's sockets that the peer channel's parts share: peer_link.cpp and peer_links.cpp
// call them, nobody else. No state; loop thread only.
#pragma once
#include <uv.h>

#include <string>

namespace kvd {

// Closes a handle that was allocated with new, and deletes it when libuv lets go of it. Its callbacks find a
// null `data` in the meantime.
template <class Handle>
void close_and_delete(Handle* handle) {
  handle->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

// For a connection that stands: frames leave at once, and it ends (as if reset) when the other side's kernel
// has acknowledged nothing for some seconds. TCP itself would wait ever longer before it tries again, so that
// what was sent during a partition would keep all that follows from being heard for as long after it.
void prepare_socket(uv_tcp_t* tcp);

// "host:port" of this end and of the other one; ":0" when the socket has none any more.
std::string local_name(const uv_tcp_t* tcp);
std::string remote_name(const uv_tcp_t* tcp);
uint16_t local_port(const uv_tcp_t* tcp);

}  // namespace kvd
