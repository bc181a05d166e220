// What `kvd COMMAND --help` says below the flags, for the subcommands that are clients: what a command may count on,
// and what it may not. Lines fit a terminal.
#pragma once

namespace kvd::client::help {

inline constexpr char kHeld[] = R"(
The command has a session of its own and no controlling terminal. To stop it is SIGTERM to all that it has
started, in whatever process group or session, and SIGKILL after --grace. What it leaves running when it ends
is stopped, too, before the grant is given back. Every signal that kvd gets is passed on to its process group;
only SIGTSTP and the like (Ctrl-Z) stop all of it, and kvd, with SIGSTOP. Before the command runs SIGHUP,
SIGINT, SIGQUIT and SIGTERM end kvd, and others do nothing.

What is guaranteed: the command is started only after the server has granted, and stopped as soon as the
server says that the grant is lost, or the connection ends, or nothing came for 25 seconds (servers write at
least every 10). A server that loses its grant waits for a third of its --session-timeout (2 seconds by
default) between saying so and letting it pass to another; for a command that does not heed SIGTERM, give a
--grace below that.
When kvd itself is killed by SIGKILL its guard, a second process, kills all of it before the connection ends.
What is not: a machine that is cut off from the server notices only by those 25 seconds, and one that is
suspended, or a kvd that is stopped by SIGSTOP, not at all; meanwhile another may be granted the same. Nothing
stops what others start for the command (systemd, cron, a daemon of containers, another machine), what this
user may not signal (setuid; kvd names it), and anything when kvd and its guard are killed together. So have
whatever the command changes check the fence: it is larger for every later holder, and a kvd write with
?fence=$KVD_FENCE_PARAM is refused (412) once a newer one was seen.
)";

inline constexpr char kLock[] = R"(In its environment the command finds
  KVD_LOCK=PATH  KVD_FENCE=12345  KVD_FENCE_PARAM=PATH:12345 (escaped, ready for ?fence=)
When it ends the lock is released, and kvd exits with its status, or 128 + N if signal N ended it.
)";
inline constexpr char kLockCodes[] = R"(
Other exit codes: 64 the command line, 78 KVD_SERVERS, 69 not granted in time, or refused, 75 the lock was
lost and the command stopped, 126 or 127 the command could not be started.)";

inline constexpr char kElect[] = R"(In its environment the command finds
  KVD_ELECTION=PATH  KVD_FENCE=12345  KVD_FENCE_PARAM=PATH:12345 (escaped, ready for ?fence=)
When it ends the candidate resigns, and kvd exits with its status, or 128 + N if signal N ended it.
)";
inline constexpr char kElectCodes[] = R"(
Other exit codes: 64 the command line, 78 KVD_SERVERS, 69 refused, 75 the lead was lost and the command
stopped (not with --again), 126 or 127 the command could not be started.)";

inline constexpr char kWork[] =
    R"(For each task /bin/sh -c CMD is run, with the task's data as its standard input and, in its
environment,
  KVD_TASK=id  KVD_ATTEMPT=1  KVD_FENCE=12345  KVD_KIND=kind
What it writes to its standard output, 61440 bytes at most, is the result; the task is done when it exits
with 0, and failed otherwise. A line that it writes to its descriptor 3 (echo half >&3), 256 bytes at most,
is the task's progress; the last one counts. When the server cancels the task, or takes this worker for gone,
the command is stopped: SIGTERM to all that it has started, in whatever process group or session, and SIGKILL
after --grace; the result is dropped. What it leaves running when it ends is stopped before the result is
sent. Such a task may run elsewhere before it has stopped here: the fence tells the attempts apart, and only
one result is accepted. kvd lock --help tells what nothing can stop.

SIGINT, SIGTERM, SIGHUP or SIGQUIT: no more tasks are taken, the running ones have --grace to finish and are
then stopped; a second signal stops them at once. A task without a result is given to another worker. Every
other signal is passed on to the running commands; SIGTSTP and the like stop them, and kvd, with SIGSTOP.
Exit codes: 0 after such a signal, 64 the command line, 78 KVD_SERVERS, 69 a server refused the worker,
or access.)";

inline constexpr char kHostsSync[] =
    R"(Only what stands between the lines "# BEGIN kvd NODE" and "# END kvd NODE" is changed; they are appended
when they are missing, and when they are damaged nothing is written. Nothing is written either while the
server does not know all names (Kvd-Complete: false), when it names none, and on any error.

The file is replaced as a whole: by a rename where that is possible. Where it has to keep its inode (a mount
point, as /etc/hosts in a container is, several links, extended attributes, a directory that may not be
written) it is written in place by a process of its own that survives this one, with a copy beside it,
.FILE.kvd-redo, from which the next start finishes what a power failure has cut off.

Exit codes: 0 after SIGINT, SIGTERM or SIGHUP, or with --once when the file is up to date; 64 the command
line, 78 KVD_SERVERS; 69 a server refused access; with --once 65 damaged markers, 69 no server had an answer
that can be used, 74 the file cannot be read or written.)";

inline constexpr char kConfigSync[] =
    R"(DIR is a symbolic link to a directory with a file for each key that begins with P, and the value as its bytes.
It always leads to all keys as they were at one revision, and is replaced by a rename. The versions stand in
DIR.kvd, where the present one and the one before it stay. What is at DIR and is no such link is not touched.
A / in a key makes a directory. While there is a key that can be no file (an empty component, . or .., a NUL, a
component of more than 255 bytes, or one below another key) nothing newer is published.

Behind each change, one at a time, /bin/sh -c CMD is run once the version is there, with
  KVD_CONFIG_REVISION=N  KVD_CONFIG_DIR=the version's directory
in its environment. What is published meanwhile is told by one more run. It has to end: what it leaves running
is stopped. When it ended with another code than 0 it runs again with the next change, or the next start.

The node tells what it runs in the key P.running/NAME, which stays, and names a lease that the node renews, so
that kvd config status can tell. Nothing older than what is published is ever published; while no server
answers, or those that do have no leader, everything stays as it is.

Exit codes: 0 after SIGINT, SIGTERM or SIGHUP; 64 the command line, 78 KVD_SERVERS; 65 there is something else
at DIR, a server refused access, or all of them the request; 74 DIR.kvd cannot be made, or another kvd config
sync keeps it.)";

inline constexpr char kConfigStatus[] =
    R"(A line about the newest configuration, and one for each node that has told what it runs, with tabs between its
parts: NAME, REVISION, what it does ("running", "applying", or "failed" and why), "alive" or "blind since" when
it wrote that at the earliest, "current" or "behind". A node is blind when its lease is over: nobody knows what
it runs now. The revision is that of the newest key; "current" compares all keys and values as well.
kvd del P.running/NAME makes one forgotten that will not come back.

Exit codes: 0 every node is alive, current and running; 1 not so, or there is no node; 64 the command line, 78
KVD_SERVERS; 65 a server refused access, or all of them the request; 69 no server told the newest configuration
in time; 74 standard output.)";

// ---- the store's commands ----

inline constexpr char kGet[] = R"(A key that begins with - is given behind --.
)";

inline constexpr char kPut[] =
    R"(VALUE is taken as it stands; - or no VALUE: the standard input; @FILE: what is in FILE, byte by byte. A
value that begins with @ goes through the standard input; what begins with - is given behind --, as in
kvd put -- KEY -1.
)";

inline constexpr char kDel[] =
    R"(With --prefix the keys are deleted in pages, each a revision of its own; others may read in between, and
when it is cut off the rest is still there. A key that begins with - is given behind --.
)";

inline constexpr char kLs[] =
    R"(Keys and values are written byte by byte. Where they may hold line ends or tabs use -0 (KEY, NUL, and with
--values VALUE, NUL), and where they may hold anything --json: what is no UTF-8 is base64 there, as key_b64
and value_b64. Pages are read one after the other, none of them older than the one before.
)";

inline constexpr char kTxn[] =
    R"(FILE holds what POST /v1/txn takes: {"if":[...],"then":[...],"else":[...]}; - or no FILE: the standard
input. Exits with 0 when "then" was done, and with 1 when "else" was.
)";

inline constexpr char kAdd[] =
    R"(N is a whole number, by default 1; it may be negative: kvd add KEY -3. A key that is not there counts as 0.
)";

inline constexpr char kWatch[] =
    R"(A line for each change: REVISION, a tab, "put", "delete" or "expire", a tab, KEY, and with --values a tab and
VALUE, which is empty unless the key was put. Without KEY and --prefix: all keys. A key that begins with - is
given behind --. The changes of one write have one revision, and are printed together.
With --state what is there comes first, as "put". "synced" in place of a change says that it was all printed.
"reset" says that nothing of what was printed counts: what is there follows once more.
With --linear "progress" says that all that was acknowledged up to REVISION has been printed, and that there
was nothing newer when the server asked.
-0, and where keys and values may hold anything --json, are as with kvd ls. --json prints the lines of
GET /v1/watch, with values only with --values. A "reset" of kvd's own has the reason "connection".

When a server or the connection fails another server is asked, for ever, and goes on where this one ended:
nothing is missing, and nothing comes twice.
Exit codes: 0 after SIGINT, SIGTERM or SIGHUP; 64 the command line, 78 KVD_SERVERS; 65 a server refused the
request; 69 without --state: no server knows any more what came behind the last revision, or a new lineage has
begun: read what is there, and watch behind the revision of that; 74 standard output.)";

// ---- leases ----

inline constexpr char kLeaseGrant[] =
    R"(TTL is how long it lives without a renewal, in ms, 1000 to 2592000000 (thirty days).
)";

inline constexpr char kLeaseRenew[] =
    R"(Prints for each lease that lives ID, a tab, and what is left of it in ms; it then lives for at least so long.
Up to 1024 leases are renewed in one write.
)";

inline constexpr char kLeaseShow[] =
    R"(Prints ID, a tab, what is left of it in ms, a tab, its TTL in ms, a tab, its name.
)";

inline constexpr char kLeaseLs[] =
    R"(Prints for each lease ID, a tab, what is left of it in ms, a tab, its TTL in ms, a tab, its name. Pages are read
one after the other, none of them older than the one before.
)";

inline constexpr char kLeaseHold[] =
    R"(A new lease with TTL, in ms, or the one with --id, is renewed after a third of its time, again and again, by
the server that holds it for this process.
With CMD, that runs while the lease is held, and finds KVD_LEASE=ID in its environment. When it ends, with all
that it has started, the lease is ended, unless another one has taken it up meanwhile, and kvd exits with its
status, or 128 + N if signal N ended it. When the lease is lost the command is stopped. How it is stopped, and
which signals it gets, is as kvd lock --help tells.
Without CMD kvd prints the lease's id, and holds it until SIGINT, SIGTERM, SIGHUP or SIGQUIT; then it ends it.

When a server or the connection fails the next server takes the lease up, within the time for which it certainly
lives. It is lost when somebody has ended it, when another one has taken it up, when a server refuses access, or
when that time is over and no server has renewed it. Then it may be over, and its keys be gone.
When kvd is killed by SIGKILL its guard, a second process, kills all of CMD before the connection ends, and the
lease with it; where no connection stands, it runs out.
What is not guaranteed: a kvd that is stopped by SIGSTOP, or a machine that is suspended, does not notice that
the lease is over before it goes on. Then what servers have said meanwhile does not count: the lease is lost if
its time has passed. So have whatever the command changes check the lease: its id is a fence, and a condition
of transactions.
Exit codes: that of CMD; without it 0 after such a signal; 128 + N signal N came before the lease was held; 64
the command line, 78 KVD_SERVERS, 69 the lease was refused, or that of --id is over, 74 standard output, 75 the
lease was lost, 126 or 127 CMD could not be started.)";

inline constexpr char kLeaseReadCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over.
Exit codes: 0 done; 1 the lease is over, or never was; 64 the command line, 78 KVD_SERVERS; 65 the server refused
the request; 69 no server answered in time; 74 standard output.)";

inline constexpr char kLeaseWriteCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over. A write is done once, however often and
through whichever server it was sent; a renewal may be done again.
Exit codes: 0 done; 1 a lease is over, or never was; 64 the command line, 78 KVD_SERVERS; 65 the server refused
the request; 69 no server took it in time: it was certainly not done; 74 the standard output cannot be written
(it was done); 75 the outcome is unknown.)";

// ---- queues ----

inline constexpr char kQueueMake[] =
    R"(Of a queue that is there everything is as it is given, or what is taken for granted; its messages stay. A queue
that is not there is made by the first message, too.
)";

inline constexpr char kQueueSend[] =
    R"(BODY is taken as it stands; - or no BODY: the standard input; @FILE: what is in FILE, byte by byte. With --lines
each line of the standard input, without its end, is a message; they are sent as they come, up to 1024 in one write,
and those that were sent when it is cut off are those whose ids it has printed. With --dedup the id may be that of
the message that was sent before.
)";

inline constexpr char kQueueReceive[] =
    R"(The body of a message is written byte by byte and nothing else. With --json, or --max above 1, each message is a
line of JSON as POST /v1/queues/Q/receive has it, with its id and receipt. They are granted to nobody else for the
queue's --ttr. With --ack they are done once they were written: what was written and could not be told so in time
is granted again.

Servers are asked in turn until one has an answer, or --timeout is over, beside the time of --wait.
Exit codes: 0 written, and with --ack done; 1 no message came in time, or there is no such queue; 64 the command
line, 78 KVD_SERVERS; 65 the server refused the request; 69 no server answered in time; 74 standard output: not
done; 75 no answer came, or what was written was not told done: messages may come again.)";

inline constexpr char kQueueKick[] =
    R"(The oldest come first, and none of their deliveries counts any more. As many as it says it has made ready in one
write; the same again is the next ones. In another queue they are new messages.
)";

inline constexpr char kQueuePurge[] =
    R"(--all also deletes what somebody works on. With --state they are deleted in pages, each a revision of its own.
)";

inline constexpr char kQueuePeek[] =
    R"(Each message is a line of JSON, in the order of their ids. Pages are read one after the other, none of them older
than the one before.
)";

inline constexpr char kQueueLs[] =
    R"(Prints for each queue NAME, and how many messages are ready, delayed, in flight and dead, with tabs in between.
Pages are read one after the other, none of them older than the one before.
)";

inline constexpr char kQueueStats[] =
    R"(Prints for each number or choice its name, a tab, and its value. waiting, how many receives wait, is known to the
leader alone: --linear.
)";

inline constexpr char kQueueReadCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over.
Exit codes: 0 done; 1 there is no such queue; 64 the command line, 78 KVD_SERVERS; 65 the server refused the
request; 69 no server answered in time; 74 standard output.)";

inline constexpr char kQueueWriteCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over. Each write carries an idempotency key
of its own, so that it is done once, however often and through whichever server it was sent.
Exit codes: 0 done; 1 there is no such queue, or with --if-empty it has messages, or dead letters would go in a
circle; 64 the command line, 78 KVD_SERVERS; 65 the server refused the request; 69 the queue is full, or no
server took it in time: it was certainly not done; 74 the input cannot be read, or the standard output not be
written (then it was done); 75 the outcome is unknown: look before you repeat it.)";

inline constexpr char kQueueWork[] =
    R"(For each message /bin/sh -c CMD is run, with its body as standard input and, in its environment,
  KVD_QUEUE=Q  KVD_MESSAGE_ID=90  KVD_RECEIPT=123  KVD_ATTEMPT=1  KVD_GROUP=group  KVD_TYPE=type
When it exits with 0 the message is done. Otherwise it is granted again, to this or another worker, after --delay
or the queue's --backoff, until it was delivered as often as the queue's --max-deliveries; the exit code is told
as the reason. What CMD leaves running when it ends is stopped before the server is told.

A message is this worker's for the queue's --ttr, and that is extended after a third of it, again and again,
through any of the servers. When a server says that it is another's, or that it was deleted, the command is
stopped: SIGTERM to all that it has started, in whatever process group or session, and SIGKILL after --grace, or
after a quarter of --ttr if that is less. When no server extends it in time the command is stopped so early that
all of it has ended before the message can be granted to another one. When kvd itself is killed by SIGKILL its
guard, a second process, kills all of it. kvd lock --help tells what nothing can stop.
What is not guaranteed: a kvd that is stopped by SIGSTOP, or a machine that is suspended, does not notice that
the time is over before it goes on, and an answer may be lost behind what was done: so a message may be worked on
more than once. Have whatever the command changes check the receipt: it is larger each time that the message is
granted, and a fence, as in kvd put KEY --fence "orders/$KVD_GROUP:$KVD_RECEIPT".

SIGINT, SIGTERM, SIGHUP or SIGQUIT: nothing more is received, and the command has --grace to finish and is then
stopped; a second signal stops it at once. Its message is given back, and that delivery does not count. Every
other signal is passed on to the command; SIGTSTP and the like stop it, and kvd, with SIGSTOP.
While there is no such queue, or no server has an answer, kvd tries on.
Exit codes: 0 after such a signal, 64 the command line, 78 KVD_SERVERS, 69 a server refused the request.)";

// ---- topics ----

inline constexpr char kTopicMake[] =
    R"(Of a topic that is there everything is as it is given, or what is taken for granted; its messages stay. A topic
that is not there is made by the first message, too, and keeps everything until there is no memory left: give it
bounds.
)";

inline constexpr char kTopicLs[] =
    R"(Prints for each topic NAME, how many messages it has, the bytes of their bodies, and how many subscriptions, with
tabs in between. Pages are read one after the other, none of them older than the one before.
)";

inline constexpr char kTopicRead[] =
    R"(Each message is a line of JSON, in the order in which they were published. Pages are read one after the other,
none of them older than the one before, until the end. What was there and is gone is told on standard error.
)";

inline constexpr char kTopicTail[] =
    R"(Each message is a line of JSON, as with kvd topic read. When a server or the connection fails another server is
asked, for ever, and goes on behind the last message: none is missing, and none comes twice. What a bound of the
topic has taken before it was printed is told on standard error. A topic that is not there is waited for.
Exit codes: 0 after SIGINT, SIGTERM or SIGHUP; 64 the command line, 78 KVD_SERVERS; 65 a server refused the
request; 74 standard output.)";

inline constexpr char kTopicSubscribe[] =
    R"(Of a subscription that is there everything is as it is given, or what is taken for granted, but for its place:
kvd topic seek moves it.
)";

inline constexpr char kTopicSubscriptions[] =
    R"(Prints for each subscription NAME, and how many messages are neither settled nor dead there, are in flight, are
dead, and how many gaps there were, with tabs in between.
)";

inline constexpr char kTopicSeek[] =
    R"(PLACE is first, now, or the id of a message: behind it. What was in flight, delayed or dead counts no more.
)";

inline constexpr char kTopicReceive[] =
    R"(The body of a message is written byte by byte and nothing else. With --json, or --max above 1, each message is a
line of JSON as POST /v1/topics/T/subscriptions/S/receive has it, with its id and receipt. They are granted to nobody
else for the subscription's --ttr. With --ack they are done once they were written: what was written and could not be
told so in time is granted again. What went before it was settled is told on standard error, as a gap.

Servers are asked in turn until one has an answer, or --timeout is over, beside the time of --wait.
Exit codes: 0 written, and with --ack done; 1 no message came in time, or there is no such topic or subscription; 64
the command line, 78 KVD_SERVERS; 65 the server refused the request; 69 no server answered in time; 74 standard
output: not done; 75 no answer came, or what was written was not told done: messages may come again.)";

inline constexpr char kTopicKick[] =
    R"(The oldest come first, and none of their deliveries counts any more. As many as it says it has made ready in one
write; the same again is the next ones.
)";

inline constexpr char kTopicReadCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over.
Exit codes: 0 done; 1 there is no such topic or subscription; 64 the command line, 78 KVD_SERVERS; 65 the server
refused the request; 69 no server answered in time; 74 standard output.)";

inline constexpr char kTopicWriteCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over. Each write carries an idempotency key
of its own, so that it is done once, however often and through whichever server it was sent.
Exit codes: 0 done; 1 there is no such topic or subscription, or --ordered cannot change while messages are in flight
or wait; 64 the command line, 78 KVD_SERVERS; 65 the server refused the request; 69 the topic is full, or no server
took it in time: it was certainly not done; 74 the input cannot be read, or the standard output not be written (then
it was done); 75 the outcome is unknown: look before you repeat it.)";

inline constexpr char kTopicWork[] =
    R"(For each message /bin/sh -c CMD is run, with its body as standard input and, in its environment,
  KVD_TOPIC=T  KVD_SUBSCRIPTION=S  KVD_MESSAGE_ID=90  KVD_RECEIPT=123  KVD_ATTEMPT=1  KVD_GROUP=group  KVD_TYPE=type
When it exits with 0 the message is done. Otherwise it is granted again, to this or another worker, after --delay
or the subscription's --backoff, until it was delivered as often as its --max-deliveries; the exit code is told as the
reason. What went before it was settled is told on standard error, as a gap.

How a message's time is extended, how CMD is stopped, what signals do and what is not guaranteed is as kvd queue work
--help tells. While there is no such subscription, or no server has an answer, kvd tries on.
Exit codes: 0 after a signal that asks to end, 64 the command line, 78 KVD_SERVERS, 69 a server refused the request.)";

// ---- users, tokens and policies ----

inline constexpr char kAuthPolicyPut[] =
    R"(FILE holds what PUT /v1/auth/policies/NAME takes: {"rules":[{"kv":"app/","may":["read","write"]}]}; - or no FILE:
the standard input. All that the policy granted before is replaced.
)";

inline constexpr char kAuthPolicyGet[] =
    R"(Prints one line of JSON, as kvd auth policy put takes it.
)";

inline constexpr char kAuthPolicyLs[] =
    R"(Prints for each policy NAME, a tab, its rules as JSON, with commas between them.
)";

inline constexpr char kAuthUserPut[] =
    R"(All that the user was before is replaced. Its tokens stay.
)";

inline constexpr char kAuthUserLs[] =
    R"(Prints for each user NAME, a tab, its policies, a tab, its identities, with commas between them.
)";

inline constexpr char kAuthMembers[] =
    R"(Prints for each thing that there is to say its name, a tab, and what it is.
)";

inline constexpr char kAuthTokenCreate[] =
    R"(The token alone goes to standard output, and is never shown again; its id and when it expires go to standard
error. Whoever has it may do what the user may: (umask 077; kvd auth token create USER > FILE) is for --token-file
FILE of the other commands. The request is not sent again where its outcome is unknown. A token that was made and
shown to nobody does no harm; kvd auth token ls lists it, too.
)";

inline constexpr char kAuthTokenLs[] =
    R"(Prints for each token ID, USER, its state (valid, expired or void), when it expires (or "never") and its note,
with tabs in between. A token is void when its user was deleted.
)";

inline constexpr char kAuthTest[] =
    R"(Prints "allowed", or "not allowed". RESOURCE and PATH are as in the rules of a policy.

Servers are asked in turn until one has an answer, or --timeout is over.
Exit codes: 0 allowed; 1 not allowed, or there is no such user; 64 the command line, 78 KVD_SERVERS; 65 the server
refused the request; 69 no server answered in time; 74 standard output.)";

inline constexpr char kAuthRootToken[] =
    R"(Asks no server. Whoever has the token may do everything. It is printed this once; FILE, which is new, says only
how it is known, and may be read by its owner alone. Start each server with --root-token-file FILE.

Exit codes: 0 made; 64 the command line; 73 FILE is there already, or cannot be made; 74 standard output (then FILE
is there, and of no use).)";

inline constexpr char kAuthReadCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over.
Exit codes: 0 done; 1 there is no such policy or user; 64 the command line, 78 KVD_SERVERS; 65 the server refused
the request; 69 no server answered in time; 74 standard output.)";

inline constexpr char kAuthWriteCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over. What is done twice is as if it were done once.
Exit codes: 0 done; 1 there is no such policy, user or token, or what is there does not allow it; 64 the command line,
78 KVD_SERVERS; 65 the server refused the request; 69 no server took it in time: it was certainly not done; 74 the
input cannot be read, or the standard output not be written (then it was done); 75 the outcome is unknown.)";

inline constexpr char kAuthCreateCodes[] = R"(
Servers are asked in turn until one has taken the request, or --timeout is over.
Exit codes: 0 made; 1 there is no such user, or what is there does not allow it; 64 the command line, 78 KVD_SERVERS;
65 the server refused the request; 69 no server took it in time: no token was made; 74 standard output: delete the
token; 75 the outcome is unknown.)";

inline constexpr char kCertCa[] =
    R"(Makes three authorities, each for one purpose, with keys of their own. They are valid for 10 years.
  ca         signs servers' HTTPS certificates: clients check those by ca.crt
  peer-ca    signs the certificates by which servers know each other
  client-ca  signs clients' certificates
Whoever has one of the .key files can be a server or a client of the cluster. Keep them where certificates are made,
and give servers and clients the .crt files alone.
)";

inline constexpr char kCertServer[] =
    R"(Makes two certificates, with keys of their own, for the same HOSTs:
  HOST.crt, HOST.key            for HTTPS, signed by ca
  HOST-peer.crt, HOST-peer.key  for the other servers, signed by peer-ca
The files are named after the first HOST, so that those of several servers may be in one directory. A HOST is a DNS
name or an IP address. Give every one by which clients reach the server, localhost and 127.0.0.1 among them where they
do, and the one that it tells the other servers (kvd --advertise).
)";

inline constexpr char kCertClient[] =
    R"(Makes NAME-client.crt and NAME-client.key, signed by client-ca. As whom it identifies its holder --dns, --uri and
--email say. Without any of them NAME is a DNS name, and the certificate says dns:NAME.
)";

inline constexpr char kCertCodes[] = R"(
Keys are of the curve P-256, in files that their owner alone can read. A certificate is valid from an hour before it
was made, since clocks differ. Nothing is overwritten: a file that is in the way is told before any is written.
Exit codes: 0 made; 64 the command line; 65 an authority is unusable, or has expired; 66 it cannot be read; 70 OpenSSL
makes no key; 73 a file is in the way, or cannot be made; 74 standard output (then the files are there).)";

inline constexpr char kReadCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over.
Exit codes: 0 done; 1 there is no such key; 64 the command line, 78 KVD_SERVERS; 65 the server refused the
request; 69 no server answered in time; 74 standard output.)";

inline constexpr char kWriteCodes[] = R"(
Servers are asked in turn until one has an answer, or --timeout is over. Each write carries an idempotency key
of its own, so that it is done once, however often and through whichever server it was sent.
Exit codes: 0 done; 1 there is no such key, or a condition or a fence does not hold, or what is there is no
number; 64 the command line, 78 KVD_SERVERS; 65 the server refused the request; 69 no server took it in time:
it was certainly not done; 74 the input cannot be read, or the standard output not be written (then it was
done); 75 the outcome is unknown: read before you repeat it.)";

}  // namespace kvd::client::help
