/* A program to be run under supervision. Arguments: "signals" counts SIGUSR1 with a handler and prints the value it was
   queued with; "threads N" creates and joins N threads and prints the microseconds it took; "fork" dies in a child by
   abort and exits with 9; "epoll" waits in epoll_wait for a line on stdin and prints its result; "together" lets four
   threads fault at the same moment. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t received;
static volatile int value;
static pthread_barrier_t together;

static void handle(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    value = info->si_value.sival_int;
    received = 1;
}

static void *nothing(void *argument)
{
    return argument;
}

static void *fault(void *argument)
{
    pthread_barrier_wait(&together);
    *(volatile int *)argument = 1;
    return NULL;
}

static int wait_for_signal(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    sigaction(SIGUSR1, &action, NULL);
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    while (!received) {
        sigsuspend(&before);
    }
    printf("value %d\n", value);
    return 5;
}

static int make_threads(long count)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long index = 0; index < count; index++) {
        pthread_t thread;
        pthread_create(&thread, NULL, nothing, NULL);
        pthread_join(thread, NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%ld\n", (end.tv_sec - start.tv_sec) * 1000000 + (end.tv_nsec - start.tv_nsec) / 1000);
    return 0;
}

static int fault_together(void)
{
    pthread_barrier_init(&together, NULL, 4);
    for (int index = 0; index < 4; index++) {
        pthread_t thread;
        pthread_create(&thread, NULL, fault, NULL);
    }
    for (;;) {
        pause();
    }
}

int main(int count, char **arguments)
{
    const char *way = count > 1 ? arguments[1] : "";
    if (!strcmp(way, "signals")) {
        return wait_for_signal();
    }
    if (!strcmp(way, "threads")) {
        return make_threads(atol(arguments[2]));
    }
    if (!strcmp(way, "fork")) {
        if (fork() == 0) {
            abort();
        }
        wait(NULL);
        return 9;
    }
    if (!strcmp(way, "epoll")) {
        struct epoll_event event = {.events = EPOLLIN};
        int epoll = epoll_create1(0);
        epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
        int result = epoll_wait(epoll, &event, 1, -1);
        printf("%d %d\n", result, result < 0 ? errno : 0);
        return 0;
    }
    return strcmp(way, "together") ? 2 : fault_together();
}
