/* A daemon, as its clock sees it (compose/images/clock.c): threads that wait for moments, and one that obeys lines:
 *
 *   clocks           what time it is, by each way to ask
 *   preloaded        what it would hand on to a program that it starts
 *   wait SECONDS     a thread waits so long for a signal, and then forever
 *   date SECONDS     likewise; its condition goes by CLOCK_REALTIME
 *   busy SECONDS     likewise, and before that works until `rest`
 *   wake             all of those are signalled
 *   rest             one of those that are busy ends its work
 *   request, answer  a message of IKE is sent, or received
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int sockets[2], work[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t monotonic, by_date = PTHREAD_COND_INITIALIZER, never = PTHREAD_COND_INITIALIZER;
static int woken;

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void *resting(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) pthread_cond_wait(&never, &lock);
    return NULL;
}

static void *waiting(void *line) {
    char how[8];
    double until, began;
    sscanf(line, "%7s %lf", how, &until);
    int date = !strcmp(how, "date");
    pthread_mutex_lock(&lock);
    int before = woken, status = 0;
    struct timespec end;
    /* A thread counts from its first wait on. */
    clock_gettime(CLOCK_MONOTONIC, &end);
    while (!pthread_cond_timedwait(&monotonic, &lock, &end)) continue;
    clock_gettime(date ? CLOCK_REALTIME : CLOCK_MONOTONIC, &end);
    began = seconds(CLOCK_MONOTONIC);
    end.tv_nsec += (long)((until - (long)until) * 1e9);
    end.tv_sec += (time_t)until + end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    printf("waits %g\n", until);
    while (!status && woken == before) status = pthread_cond_timedwait(date ? &by_date : &monotonic, &lock, &end);
    printf("%s %g after %.3f\n", status ? "ended" : "woken", until, seconds(CLOCK_MONOTONIC) - began);
    if (!strcmp(how, "busy")) {
        char byte;
        pthread_mutex_unlock(&lock);
        if (read(work[0], &byte, 1) != 1) exit(3);
        pthread_mutex_lock(&lock);
        puts("rests");
    }
    pthread_mutex_unlock(&lock);
    return resting(NULL);
}

static struct msghdr message(struct iovec *part, uint8_t *data, size_t size) {
    *part = (struct iovec){.iov_base = data, .iov_len = size};
    return (struct msghdr){.msg_iov = part, .msg_iovlen = 1};
}

static void *listening(void *unused) {
    uint8_t data[128];
    struct iovec part;
    struct pollfd found = {.fd = sockets[0], .events = POLLIN};
    (void)unused;
    for (;;) {
        if (poll(&found, 1, -1) != 1) continue;
        struct msghdr whole = message(&part, data, sizeof data);
        printf("received %zd\n", recvmsg(sockets[0], &whole, 0));
    }
    return NULL;
}

/* On port 4500, four zeros come first; then SPIs, types, flags, the message's number and its length. */
static void ike(int socket, int is_answer) {
    uint8_t data[32] = {[4] = 1, [12] = 2, [20] = 46, [21] = 0x20, [22] = 37, [23] = is_answer ? 0x20 : 0x08, [31] = 28};
    struct iovec part;
    struct msghdr whole = message(&part, data, sizeof data);
    if ((is_answer ? write(socket, data, sizeof data) : sendmsg(socket, &whole, 0)) != sizeof data) exit(3);
}

int main(void) {
    char line[64];
    char byte = 0;
    pthread_condattr_t attributes;
    pthread_t thread;
    setvbuf(stdout, NULL, _IOLBF, 0);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&monotonic, &attributes);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) || pipe(work)) return 3;
    pthread_create(&thread, NULL, listening, NULL);
    pthread_create(&thread, NULL, resting, NULL);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strcmp(line, "clocks")) {
            struct timeval now;
            gettimeofday(&now, NULL);
            printf("clocks %.6f %.6f %.6f %.6f %lld %.6f %.6f\n", seconds(CLOCK_REALTIME), seconds(CLOCK_MONOTONIC),
                seconds(CLOCK_BOOTTIME), seconds(CLOCK_REALTIME_COARSE), (long long)time(NULL),
                now.tv_sec + now.tv_usec / 1e6, seconds(CLOCK_PROCESS_CPUTIME_ID));
        } else if (!strcmp(line, "preloaded")) {
            const char *found = getenv("LD_PRELOAD");
            printf("preloaded %s\n", found ? found : "nothing");
        } else if (!strcmp(line, "wake")) {
            pthread_mutex_lock(&lock);
            woken++;
            pthread_cond_broadcast(&monotonic);
            pthread_cond_broadcast(&by_date);
            pthread_mutex_unlock(&lock);
        } else if (!strcmp(line, "rest")) {
            if (write(work[1], &byte, 1) != 1) return 3;
        } else if (!strcmp(line, "request")) {
            ike(sockets[0], 0);
            puts("sent");
        } else if (!strcmp(line, "answer")) {
            ike(sockets[1], 1);
        } else {
            pthread_create(&thread, NULL, waiting, strdup(line));
        }
    }
    return 0;
}
