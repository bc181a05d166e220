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

// "host:port" of this end and of the other one; ":0" when the socket has none any more.
std::string local_name(const uv_tcp_t* tcp);
std::string remote_name(const uv_tcp_t* tcp);
uint16_t local_port(const uv_tcp_t* tcp);

}  // namespace kvd
