/* A clock for one daemon, preloaded: hours in which nothing happens pass in a moment; an exchange takes as long as it takes.
 *
 * `scripts/node/clock` says how far the daemon's clock is to run, and how fast. It runs fast only while all threads wait:
 *   - it stops at each moment for which one of them waits (pthread_cond_timedwait), until that one had its time;
 *   - it goes at its normal speed while the daemon awaits an answer to a message of IKE. Else a round trip of 2 ms would be
 *     an hour for the daemon, which would repeat what it sent, and give up.
 * All else takes real time: sockets, other processes, the kernel. While nothing is asked for, every call is passed on.
 *
 * What the daemon reads is the machine's clock and what passed beyond that, in the file $TUNNELBED_CLOCK. A daemon that
 * starts again goes on from there. A byte in the FIFO beside it, `.asked`, says that there is something new in the file.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

/* Packets under the old keys are still under way when there are new ones, and the daemon forgets the old ones after
 * seconds: so many times `settle`. */
#define UNDER_WAY 50
/* Exchanges that change no keys (RFC 7296, 3.1; RFC 2408, 3.1). */
#define INFORMATIONAL 37
#define INFORMATIONAL_V1 5
/* While the clock runs fast, waiting threads look at it so often. */
#define SLICE (2 * MILLISECOND)

/* As scripts/node/clock has it; times are in nanoseconds. */
struct shared {
    _Atomic int64_t beyond;   /* what passed beyond the machine's clock: the daemon writes it */
    _Atomic int64_t reader;   /* the daemon's process id: the daemon writes it */
    _Atomic int64_t goal;     /* until when the clock may run fast, as the daemon's CLOCK_MONOTONIC */
    _Atomic int64_t pace;     /* how many times as fast */
    _Atomic int64_t patience; /* for how long an answer is awaited, by the machine's clock; then it is taken for lost */
    _Atomic int64_t settle;   /* for how long nothing must have happened, by the machine's clock */
};

static struct shared *shared;
static int asked = -1;
static pthread_key_t end_of_thread;
static pthread_once_t prepared = PTHREAD_ONCE_INIT, listening = PTHREAD_ONCE_INIT;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_signal)(pthread_cond_t *);
static int (*real_broadcast)(pthread_cond_t *);
static int (*real_poll)(struct pollfd *, nfds_t, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);

/* All below is under this. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The machine's clock when it was looked at last, how many threads work, and until when one may be about to. */
static int64_t seen, busy;
static int working;
/* How often something was asked for; and the threads that wait: until when as the daemon counts, on what, and what they
 * knew of by then. */
#define WAITERS 64
static int asked_for;
static struct {
    int64_t until;
    pthread_cond_t *on;
    int knew;
} waiters[WAITERS];
/* Conditions on which threads wait: how many, and how many of those were signalled and do not run yet. */
#define CONDITIONS 256
static struct {
    pthread_cond_t *on;
    int waiting, woken;
} conditions[CONDITIONS];
/* Requests that await an answer, and until when. */
#define REQUESTS 256
static struct {
    uint64_t spi;
    uint32_t id;
    int64_t until;
} requests[REQUESTS];

static int64_t machine(clockid_t clock) {
    struct timespec now;
    real_gettime(clock, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

static struct timespec as_timespec(int64_t time) {
    return (struct timespec){.tv_sec = time / SECOND, .tv_nsec = time % SECOND};
}

static void ended(void *unused);

static void prepare(void) {
    *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    /* The first version of these, which dlsym may find, is of another kind of condition. */
    *(void **)&real_signal = dlvsym(RTLD_NEXT, "pthread_cond_signal", "GLIBC_2.3.2");
    *(void **)&real_broadcast = dlvsym(RTLD_NEXT, "pthread_cond_broadcast", "GLIBC_2.3.2");
    if (!real_signal) *(void **)&real_signal = dlsym(RTLD_NEXT, "pthread_cond_signal");
    if (!real_broadcast) *(void **)&real_broadcast = dlsym(RTLD_NEXT, "pthread_cond_broadcast");
    *(void **)&real_poll = dlsym(RTLD_NEXT, "poll");
    *(void **)&real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    *(void **)&real_recvmsg = dlsym(RTLD_NEXT, "recvmsg");
    const char *path = getenv("TUNNELBED_CLOCK");
    char fifo[PATH_MAX];
    if (!path || snprintf(fifo, sizeof fifo, "%s.asked", path) >= (int)sizeof fifo) return;
    asked = open(fifo, O_RDWR | O_CLOEXEC);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || asked < 0) return;
    void *found = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found == MAP_FAILED) return;
    if (pthread_key_create(&end_of_thread, ended)) return;
    shared = found;
    shared->reader = getpid();
    seen = machine(CLOCK_MONOTONIC);
    /* The clock has one daemon: what that starts reads the machine's. */
    unsetenv("LD_PRELOAD");
}

__attribute__((constructor)) static void begin(void) { pthread_once(&prepared, prepare); }

/* For so long the clock does not run fast. */
static void stay_slow(int64_t time) {
    int64_t until = machine(CLOCK_MONOTONIC) + time;
    if (until > busy) busy = until;
}

/* Until when the clock may not run fast, since an answer is awaited; 0: none is. */
static int64_t awaited(int64_t now) {
    int64_t until = 0;
    for (int at = 0; at < REQUESTS; at++) {
        if (requests[at].until <= now) requests[at].until = 0;
        else if (requests[at].until > until) until = requests[at].until;
    }
    return until;
}

/* The daemon's CLOCK_MONOTONIC; lets the clock run for the time since it was looked at last. */
static int64_t ran(void) {
    int64_t now = machine(CLOCK_MONOTONIC), beyond = shared->beyond, goal = shared->goal, pace = shared->pace;
    int64_t fast_since = busy > seen ? busy : seen;
    seen = now;
    if (pace > 1 && !working && now + beyond < goal && now > fast_since && !awaited(now)) {
        int64_t since = now - fast_since, stop = goal, add;
        for (int at = 0; at < WAITERS; at++)
            if (waiters[at].on && waiters[at].until < stop) stop = waiters[at].until;
        add = since > INT64_MAX / pace ? INT64_MAX / 2 : since * (pace - 1);
        if (add >= stop - now - beyond) {
            add = stop > now + beyond ? stop - now - beyond : 0;
            stay_slow(shared->settle);
        }
        beyond += add;
        shared->beyond = beyond;
    }
    return now + beyond;
}

static int64_t daemons(void) {
    pthread_mutex_lock(&lock);
    int64_t now = ran();
    pthread_mutex_unlock(&lock);
    return now;
}

static int is_faked(clockid_t clock) {
    switch (clock) {
        case CLOCK_REALTIME: case CLOCK_REALTIME_COARSE: case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_COARSE:
        case CLOCK_MONOTONIC_RAW: case CLOCK_BOOTTIME: case CLOCK_TAI: return 1;
        default: return 0;
    }
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *found) {
    begin();
    int status = real_gettime(clock, found);
    if (status || !shared || !is_faked(clock)) return status;
    daemons();
    *found = as_timespec(found->tv_sec * SECOND + found->tv_nsec + shared->beyond);
    return 0;
}

EXPORT int gettimeofday(struct timeval *restrict found, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

EXPORT time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}

/* Wakes all who wait when something is asked for: they wait for the machine's time, and that is another from now on. Then
 * it looks at the clock until that has run as far as it shall; all others may wait for no moment at all. */
static void *heeding(void *unused) {
    const struct timespec slice = {.tv_nsec = SLICE};
    char byte;
    (void)unused;
    while (read(asked, &byte, 1) == 1) {
        pthread_mutex_lock(&lock);
        asked_for++;
        for (int unaware = 1; unaware || ran() < shared->goal;) {
            unaware = 0;
            /* Whoever was about to wait missed it, and is woken again. */
            for (int at = 0; at < WAITERS; at++) {
                if (!waiters[at].on || waiters[at].knew == asked_for) continue;
                real_broadcast(waiters[at].on);
                unaware = 1;
            }
            pthread_mutex_unlock(&lock);
            nanosleep(&slice, NULL);
            pthread_mutex_lock(&lock);
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void start_listening(void) {
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    /* Signals are the daemon's. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!pthread_create(&thread, NULL, heeding, NULL)) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Whether this thread counts as working: not before its first wait, nor the first one, which waits for signals. */
static _Thread_local int counts;
/* Whether this thread only looks whether it still waits for the same. */
static _Thread_local int looks;

/* A thread begins to wait. */
static void rests(void) {
    if (!counts) return;
    counts = 0;
    if (!--working && !looks) stay_slow(shared->settle);
    looks = 0;
}

/* A thread has waited; `woken`: it counts already, since somebody signalled it. */
static void works(int woken) {
    ran();
    if (woken) working--;
    if (gettid() == getpid()) return;
    counts = 1;
    working++;
    pthread_setspecific(end_of_thread, &end_of_thread);
}

/* A thread has ended. */
static void ended(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    rests();
    pthread_mutex_unlock(&lock);
}

/* The place of a condition, or -1; a new one, if it is to have one. */
static int place(pthread_cond_t *on, int make) {
    int free = -1;
    for (int at = 0; at < CONDITIONS; at++) {
        if (conditions[at].on == on) return at;
        if (free < 0 && !conditions[at].on) free = at;
    }
    if (make && free >= 0) conditions[free].on = on;
    return make ? free : -1;
}

static void enter(pthread_cond_t *on) {
    int at = place(on, 1);
    if (at >= 0) conditions[at].waiting++;
}

/* A thread waits on a condition no more; whether somebody had signalled one of those that did. */
static int left(pthread_cond_t *on) {
    int at = place(on, 0), woken = 0;
    if (at < 0) return 0;
    if (conditions[at].woken) {
        conditions[at].woken--;
        woken = 1;
    }
    if (!--conditions[at].waiting) conditions[at].on = NULL;
    return woken;
}

/* Whoever is signalled has work, also before it runs: on a busy machine that takes a while. */
static void woken(pthread_cond_t *on, int all) {
    begin();
    if (!shared) return;
    pthread_mutex_lock(&lock);
    int at = place(on, 0);
    if (at >= 0) {
        int more = conditions[at].waiting - conditions[at].woken;
        if (!all && more > 1) more = 1;
        ran();
        conditions[at].woken += more;
        working += more;
    }
    pthread_mutex_unlock(&lock);
}

EXPORT int pthread_cond_signal(pthread_cond_t *on) {
    woken(on, 0);
    return real_signal(on);
}

EXPORT int pthread_cond_broadcast(pthread_cond_t *on) {
    woken(on, 1);
    return real_broadcast(on);
}

/* Where a thread is cancelled while it waits. */
struct wait {
    pthread_cond_t *on;
    int slot;
};

static void cancelled(void *wait) {
    const struct wait *found = wait;
    pthread_mutex_lock(&lock);
    if (found->slot >= 0) waiters[found->slot].on = NULL;
    if (left(found->on)) working--;
    pthread_mutex_unlock(&lock);
}

/* Returns 0, too, where nobody signalled: every caller has to look again then, as with any condition. */
static int wait_until(pthread_cond_t *on, pthread_mutex_t *mutex, int64_t wanted) {
    struct wait wait = {.on = on};
    int status = ETIMEDOUT;
    pthread_mutex_lock(&lock);
    rests();
    enter(on);
    /* Several may share the last place; then only one of their moments is stopped at. */
    while (wait.slot < WAITERS - 1 && waiters[wait.slot].on) wait.slot++;
    waiters[wait.slot].until = wanted;
    waiters[wait.slot].on = on;
    int64_t now = ran(), rest = wanted - now;
    if (rest > 0) {
        int fast = shared->pace > 1 && now < shared->goal;
        waiters[wait.slot].knew = asked_for;
        struct timespec end = as_timespec(seen + (fast && rest > SLICE ? SLICE : rest));
        pthread_mutex_unlock(&lock);
        pthread_cleanup_push(cancelled, &wait);
        status = pthread_cond_clockwait(on, mutex, CLOCK_MONOTONIC, &end);
        pthread_cleanup_pop(0);
        pthread_mutex_lock(&lock);
    }
    /* Until it counts, the clock stops at its moment, however late it runs. */
    works(left(on));
    waiters[wait.slot].on = NULL;
    /* Too early: whoever signals the condition at this moment reaches nobody, so the thread has to look for itself. */
    if (status == ETIMEDOUT && ran() < wanted) {
        looks = 1;
        status = 0;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

EXPORT int pthread_cond_timedwait(
    pthread_cond_t *restrict on, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    begin();
    if (shared) pthread_once(&listening, start_listening);
    /* A condition does not tell its clock. No machine has been up for as long as 1970 is ago. */
    int64_t epoch = machine(CLOCK_REALTIME) - machine(CLOCK_MONOTONIC);
    int by_date = until->tv_sec > epoch / SECOND / 2;
    if (!shared) return pthread_cond_clockwait(on, mutex, by_date ? CLOCK_REALTIME : CLOCK_MONOTONIC, until);
    return wait_until(on, mutex, until->tv_sec * SECOND + until->tv_nsec - (by_date ? epoch : 0));
}

EXPORT int pthread_cond_wait(pthread_cond_t *on, pthread_mutex_t *mutex) {
    const struct timespec never = {.tv_sec = INT64_MAX / SECOND};
    begin();
    if (!shared) return pthread_cond_clockwait(on, mutex, CLOCK_MONOTONIC, &never);
    pthread_once(&listening, start_listening);
    struct wait wait = {.on = on, .slot = -1};
    int status;
    pthread_mutex_lock(&lock);
    rests();
    enter(on);
    pthread_mutex_unlock(&lock);
    pthread_cleanup_push(cancelled, &wait);
    status = pthread_cond_clockwait(on, mutex, CLOCK_MONOTONIC, &never);
    pthread_cleanup_pop(0);
    pthread_mutex_lock(&lock);
    works(left(on));
    pthread_mutex_unlock(&lock);
    return status;
}

EXPORT int poll(struct pollfd *sockets, nfds_t count, int timeout) {
    begin();
    if (!shared) return real_poll(sockets, count, timeout);
    pthread_mutex_lock(&lock);
    rests();
    pthread_mutex_unlock(&lock);
    int found = real_poll(sockets, count, timeout), wrong = errno;
    pthread_mutex_lock(&lock);
    works(0);
    pthread_mutex_unlock(&lock);
    errno = wrong;
    return found;
}

/* A message of IKE has its own length in its header (RFC 7296, 3.1), behind four zeros on port 4500. */
static void heed(const struct msghdr *message, size_t length, int sent) {
    uint8_t head[32];
    size_t have = 0;
    for (size_t at = 0; at < message->msg_iovlen && have < sizeof head; at++) {
        size_t part = message->msg_iov[at].iov_len;
        if (part > sizeof head - have) part = sizeof head - have;
        memcpy(head + have, message->msg_iov[at].iov_base, part);
        have += part;
    }
    size_t marker = have >= 32 && !head[0] && !head[1] && !head[2] && !head[3] ? 4 : 0;
    const uint8_t *ike = head + marker;
    if (have < marker + 28 || length < marker + 28) return;
    size_t told = (size_t)ike[24] << 24 | ike[25] << 16 | ike[26] << 8 | ike[27];
    if (told != length - marker || (ike[17] != 0x20 && ike[17] != 0x10)) return;

    uint64_t spi;
    uint32_t id;
    memcpy(&spi, ike, sizeof spi);
    memcpy(&id, ike + 20, sizeof id);
    int answer = ike[17] == 0x20 && ike[19] & 0x20;
    pthread_mutex_lock(&lock);
    ran();
    if (ike[18] != INFORMATIONAL && ike[18] != INFORMATIONAL_V1) stay_slow(shared->settle * UNDER_WAY);
    if (sent != answer) { /* our request, or the answer to it */
        int slot = -1;
        for (int at = 0; at < REQUESTS; at++) {
            if (requests[at].until && requests[at].spi == spi && requests[at].id == id) {
                slot = at;
                break;
            }
            if (slot < 0 && requests[at].until <= seen) slot = at;
        }
        if (slot >= 0) {
            requests[slot].spi = spi;
            requests[slot].id = id;
            requests[slot].until = answer ? 0 : seen + shared->patience;
        }
    }
    pthread_mutex_unlock(&lock);
}

EXPORT ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    begin();
    if (shared && shared->pace > 1) {
        size_t length = 0;
        for (size_t at = 0; at < message->msg_iovlen; at++) length += message->msg_iov[at].iov_len;
        heed(message, length, 1);
    }
    return real_sendmsg(socket, message, flags);
}

EXPORT ssize_t recvmsg(int socket, struct msghdr *message, int flags) {
    begin();
    ssize_t length = real_recvmsg(socket, message, flags);
    if (shared && shared->pace > 1 && length > 0) heed(message, length, 0);
    return length;
}
