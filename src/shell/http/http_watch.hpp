// Watches over HTTP: the answer to GET /v1/watch and to a read that waits for a change, and the lines of a stream, as
// NDJSON or as Server-Sent Events. Pure functions, any thread.
#pragma once
#include <string>

#include "msg/watch.hpp"
#include "shell/http/http_api.hpp"

namespace kvd {

// The whole answer; of a stream only the head, whose lines are to come.
HttpResponse render_watch(const ReplyPlan& plan, const WatchAnswer& answer);

// Appends a line as it goes into the body. An event's `id:` names a revision from which the stream can be resumed
// (Last-Event-ID); a line after which it can not, since what was said counts no more, takes it back.
void append_watch_line(std::string& body, const ReplyPlan& plan, const WatchLine& line);

}  // namespace kvd
