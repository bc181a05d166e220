// The TLS of one Stream, for the parts of this layer only: between the ciphertext of its handle and the plaintext of
// its owner. Its memory is that of the stream's state, so whoever is called may close the stream.
#pragma once
#include <uv.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/tls.hpp"

namespace kvd::net {

class Handshakes;
struct StreamState;

class TlsLayer {
 public:
  TlsLayer(StreamState& state, TlsSession session, Handshakes& handshakes);
  TlsLayer(const TlsLayer&) = delete;
  TlsLayer& operator=(const TlsLayer&) = delete;

  bool is_shaking_hands() const { return session_.state() == TlsSession::State::kHandshake; }
  const TlsSession& session() const { return session_; }

  // Whether ciphertext is to be read now: else once the handshake goes on.
  bool start_reading();
  void stop_reading() { reading_ = false; }
  std::span<char> lend() const;  // where ciphertext is to be read to
  void on_bytes(std::string_view ciphertext);
  void on_end(int why);

  int try_write(std::span<const uv_buf_t> pieces);
  int write(std::span<const uv_buf_t> pieces);
  size_t unsent() const;
  int shut_down();

  void proceed();  // a handshake, or an end, whose turn has come
  void give_up();  // a handshake, for others
  // The stream is closed; `politely`: the other side is told that nothing more comes, if that can be said at once.
  void leave(bool politely);

 private:
  bool hears() const;  // its end has not come
  void shake(std::string_view ciphertext);
  void deliver(std::string_view ciphertext);
  void tell_end();
  void fail();
  void end_handshake();

  // The owner's plaintext, which stays where it is while it is written.
  struct Plain {
    std::vector<uv_buf_t> pieces;
    size_t left = 0;  // bytes

    void assign(std::span<const uv_buf_t> from);
    void skip(size_t bytes);
  };
  size_t encrypt(Plain& plain, std::string& out);
  void give(std::string& out);
  void begin_write();
  void on_sent(int status);
  void go_on_writing();

  StreamState& state_;
  TlsSession session_;
  Handshakes& handshakes_;
  bool counted_ = true;    // among the handshakes
  bool begun_ = false;     // the handshake has
  bool reading_ = false;   // the owner wants to
  bool writing_ = false;   // on_written() follows
  bool shutting_ = false;  // behind what is sent
  bool ended_ = false;     // the owner is to hear of the end once it reads
  int broken_ = 0;         // libuv's code for why no more can be written
  std::string held_;       // ciphertext of a handshake that waits for its turn
  std::string sending_;    // ciphertext, in the system's hands as far as it takes it
  std::string waiting_;    // ciphertext behind that
  Plain plain_;            // what is left of write()
  size_t owed_ = 0;        // of what try_write() did not take: so much is encrypted already
  uv_write_t request_{};
};

}  // namespace kvd::net
