/*
 * One thread for every way to block. A call that returns EINTR is counted. Prints "thread NAME TID" for each and
 * "ready" when all have said so; "count" prints "eintr NAME COUNT" for each and "done".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "truth.h"

static int silent_pipe[2], silent_pair[2], epoll, semaphore;
static _Atomic unsigned futex_word;
static const struct timespec HOUR = {3600, 0};
static pthread_barrier_t all_have_said;

static long block_nanosleep(void)
{
    return nanosleep(&HOUR, NULL);
}

static long block_futex(void)
{
    return syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static long block_futex_timeout(void)
{
    return syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, &HOUR, NULL, 0);
}

static long block_poll(void)
{
    struct pollfd waited = {silent_pipe[0], POLLIN, 0};
    return poll(&waited, 1, 3600 * 1000);
}

static long block_read(void)
{
    char byte;
    return read(silent_pipe[0], &byte, 1);
}

static long block_epoll_wait(void)
{
    struct epoll_event event;
    return epoll_wait(epoll, &event, 1, 3600 * 1000);
}

static long block_recv_timeout(void)
{
    char byte;
    return recv(silent_pair[0], &byte, 1, 0);
}

static long block_read_socket_timeout(void)
{
    char byte;
    return read(silent_pair[0], &byte, 1);
}

static long block_sigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    return sigtimedwait(&set, NULL, &HOUR);
}

static long block_semop(void)
{
    struct sembuf operation = {0, -1, 0};
    return semop(semaphore, &operation, 1);
}

static struct way {
    const char *name;
    long (*block)(void);
    _Atomic long interrupted, returned;
} ways[] = {
    {"nanosleep", block_nanosleep, 0, 0},
    {"futex", block_futex, 0, 0},
    {"futex_timeout", block_futex_timeout, 0, 0},
    {"poll", block_poll, 0, 0},
    {"read", block_read, 0, 0},
    {"epoll_wait", block_epoll_wait, 0, 0},
    {"recv_timeout", block_recv_timeout, 0, 0},
    {"read_socket_timeout", block_read_socket_timeout, 0, 0},
    {"sigtimedwait", block_sigtimedwait, 0, 0},
    {"semop", block_semop, 0, 0},
};

enum { WAYS = sizeof ways / sizeof *ways };

static void *run(void *argument)
{
    struct way *way = argument;
    say("thread %s %d", way->name, own_tid());
    pthread_barrier_wait(&all_have_said);
    for (;;) {
        long result = way->block();
        way->returned++;
        way->interrupted += result < 0 && errno == EINTR;
    }
    return NULL;
}

int main(void)
{
    struct timeval timeout = {3600, 0};
    sigset_t awaited;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &awaited, NULL);
    epoll = epoll_create1(0);
    semaphore = semget(IPC_PRIVATE, 1, 0600);
    expect(pipe(silent_pipe) == 0 && epoll >= 0 && semaphore >= 0, "descriptors");
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, silent_pair) == 0, "socketpair");
    setsockopt(silent_pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    pthread_barrier_init(&all_have_said, NULL, WAYS + 1);
    for (int index = 0; index < WAYS; index++) {
        start(run, &ways[index]);
    }
    pthread_barrier_wait(&all_have_said);
    say("ready");
    while (strcmp(hear(), "count") == 0) {
        for (int index = 0; index < WAYS; index++) {
            say("eintr %s %ld %ld", ways[index].name, ways[index].interrupted, ways[index].returned);
        }
        say("done");
    }
    semctl(semaphore, 0, IPC_RMID);
    return 0;
}
