/* Tells the truth about its threads, then dies as its first argument says, or waits: "overflow", "null", "abort",
   "assert", "call" (of a null pointer), "stray" (a pointer to no mapping), "canonical" (an address that is none),
   "divide", "illegal", "handled" (an overflow whose handler, on an alternate stack, aborts), "wait". A second argument
   is the number of threads that block beside the one that dies.

   Lines on stdout: "main PID", "thread TID POINTER LOW HIGH GUARD LOCAL NAME" for each blocked thread (POINTER is
   pthread_self(), LOW and HIGH what pthread_getattr_np says, LOCAL the address of a local that holds TID twice), "crash
   TID LOW HIGH" for the thread that will die, "ready". It goes on at a line on stdin. */
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_barrier_t told;
static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;
static const char *way;
__thread uint64_t own_number = 7;

struct bounds {
    uintptr_t low, high;
    size_t guard;
};

static struct bounds own_bounds(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t size, guard;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_getguardsize(&attributes, &guard);
    pthread_attr_destroy(&attributes);
    return (struct bounds){(uintptr_t)low, (uintptr_t)low + size, guard};
}

static void *block(void *number)
{
    volatile uint64_t local[2];
    char name[16];
    struct bounds bounds = own_bounds();
    long tid = syscall(SYS_gettid);
    local[0] = local[1] = (uint64_t)tid;
    own_number = (uint64_t)tid;
    snprintf(name, sizeof name, "blocked %ld", (long)(intptr_t)number);
    prctl(PR_SET_NAME, name);
    printf("thread %ld %#lx %#lx %#lx %#zx %p %s\n", tid, pthread_self(), bounds.low, bounds.high, bounds.guard,
           (void *)local, name);
    pthread_barrier_wait(&told);
    pthread_mutex_lock(&never);
    return (void *)(uintptr_t)local[0];
}

static __attribute__((noinline)) uint64_t recurse(uint64_t depth)
{
    volatile char room[512];
    memset((void *)room, (int)depth, sizeof room);
    return depth == UINT64_MAX ? 0 : recurse(depth + 1) + (uint64_t)room[depth % sizeof room];
}

static void give_up(int number)
{
    (void)number;
    abort();
}

static void handle_overflow(void)
{
    static char room[64 << 10];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    struct sigaction action = {.sa_handler = give_up, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

static bool is(const char *word)
{
    return !strcmp(way, word);
}

static __attribute__((noinline)) int die(void)
{
    if (is("handled")) {
        handle_overflow();
    }
    if (is("overflow") || is("handled")) {
        return (int)recurse(1);
    }
    if (is("null")) {
        return *(volatile int *)(uintptr_t)0x18;
    }
    if (is("stray")) {
        return *(volatile int *)(uintptr_t)0x10000018;
    }
    if (is("canonical")) {
        return *(volatile int *)(uintptr_t)0x8000000000000018;
    }
    if (is("divide")) {
        volatile int nothing = 0;
        return 1000 / nothing;
    }
    if (is("illegal")) {
        __builtin_trap();
    }
    if (is("call")) {
        ((void (*)(void))(uintptr_t)getenv("NOWHERE"))();
    }
    if (is("abort")) {
        abort();
    }
    assert(!is("assert"));
    return 0;
}

static void *crash(void *unused)
{
    (void)unused;
    struct bounds bounds = own_bounds();
    prctl(PR_SET_NAME, "crasher");
    printf("crash %ld %#lx %#lx\n", syscall(SYS_gettid), bounds.low, bounds.high);
    printf("ready\n");
    char line[8];
    while (!fgets(line, sizeof line, stdin)) {
        pause();
    }
    return (void *)(intptr_t)die();
}

static void hold(size_t gibibytes)
{
    size_t size = gibibytes << 30;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t at = 0; memory != MAP_FAILED && at < size; at += 1 << 20) {
        memory[at] = 1;
    }
}

int main(int count, char **arguments)
{
    hold(count > 3 ? strtoul(arguments[3], NULL, 10) : 0);
    way = count > 1 ? arguments[1] : "wait";
    bool by_main = !strncmp(way, "main:", 5);
    way += by_main ? 5 : 0;
    long threads = count > 2 ? atol(arguments[2]) : 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("main %d\n", (int)getpid());
    pthread_mutex_lock(&never);
    pthread_barrier_init(&told, NULL, (unsigned)threads + 1);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    for (long index = 0; index < threads; index++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, block, (void *)(intptr_t)index)) {
            return 3;
        }
    }
    pthread_barrier_wait(&told);
    if (by_main) {
        crash(NULL);
    }
    pthread_t crasher;
    if (pthread_create(&crasher, &attributes, crash, NULL)) {
        return 3;
    }
    pthread_join(crasher, NULL);
    return 0;
}
