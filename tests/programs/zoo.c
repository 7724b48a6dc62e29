/*
 * One thread of every kind that the report must tell the truth about. Each says of itself, as one JSON object a line,
 * what pthread_getattr_np, sigaltstack and the address of its own local say; a line of kind "ready" follows when all of
 * them wait.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <ucontext.h>

#include "truth.h"

enum { MOST = 32, STACK = 256 * 1024, HEAP = 4 << 20, PAGE = 4096 };

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, condition_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int pipe_ends[2], tids[MOST];
static volatile int count;
static pthread_t joined;

static void tell(const char *kind, const void *local, uintptr_t waits)
{
    pthread_attr_t attributes;
    stack_t signal_stack;
    void *low;
    size_t size, guard;
    char name[16];
    expect(pthread_getattr_np(pthread_self(), &attributes) == 0, "pthread_getattr_np");
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_getguardsize(&attributes, &guard);
    pthread_attr_destroy(&attributes);
    sigaltstack(NULL, &signal_stack);
    prctl(PR_GET_NAME, name);
    say("{\"kind\": \"%s\", \"tid\": %d, \"pthread\": %lu, \"low\": %lu, \"high\": %lu, \"guard\": %zu, \"local\": "
        "%lu, "
        "\"altstack_low\": %lu, \"altstack_size\": %zu, \"altstack_flags\": %d, \"waits\": %lu, \"name\": \"%s\"}",
        kind, own_tid(), (unsigned long)pthread_self(), (unsigned long)low, (unsigned long)low + size, guard,
        (unsigned long)local, (unsigned long)signal_stack.ss_sp, signal_stack.ss_size, signal_stack.ss_flags, waits,
        name);
    tids[__atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST)] = own_tid();
}

static void wait_in_read(void)
{
    char byte;
    while (read(pipe_ends[0], &byte, 1) != 0) {
    }
}

static void *run_own(void *kind)
{
    char local = 0;
    prctl(PR_SET_NAME, "own-name");
    tell(kind, &local, 0);
    wait_in_read();
    return kind;
}

static void dig(int depth)
{
    volatile char frame[1024];
    frame[0] = (char)depth;
    if (depth > 0) {
        dig(depth - 1);
    }
    frame[1] = frame[0];
}

/* Half a megabyte was used and is used no more. */
static void *run_deep(void *kind)
{
    char local = 0;
    dig(500);
    tell(kind, &local, 0);
    poll(NULL, 0, -1);
    return kind;
}

static void in_handler(int number)
{
    char local = (char)number;
    tell("altstack", &local, 0);
    wait_in_read();
}

static void set_signal_stack(size_t size)
{
    stack_t stack = {.ss_size = size};
    stack.ss_sp = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(sigaltstack(&stack, NULL) == 0, "sigaltstack");
}

static void *run_altstack(void *kind)
{
    struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
    set_signal_stack(64 * 1024);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    return kind;
}

static void *run_idle_altstack(void *kind)
{
    char local = 0;
    set_signal_stack(32 * 1024);
    tell(kind, &local, 0);
    wait_in_read();
    return kind;
}

static void *run_mutex(void *kind)
{
    char local = 0;
    tell(kind, &local, (uintptr_t)&held);
    pthread_mutex_lock(&held);
    return kind;
}

static void *run_condition(void *kind)
{
    char local = 0;
    pthread_mutex_lock(&condition_lock);
    tell(kind, &local, (uintptr_t)&condition);
    for (;;) {
        pthread_cond_wait(&condition, &condition_lock);
    }
    return kind;
}

static void *run_join(void *kind)
{
    char local = 0;
    tell(kind, &local, (uintptr_t)joined);
    pthread_join(joined, NULL);
    return kind;
}

static void *run_sleep(void *kind)
{
    char local = 0;
    struct timespec long_time = {.tv_sec = 1 << 20};
    tell(kind, &local, 0);
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL) == EINTR) {
    }
    return kind;
}

#ifdef __GLIBC__ /* musl has no makecontext */
static void on_foreign_stack(void)
{
    char local = 0;
    tell("foreign", &local, 0);
    wait_in_read();
}

static void *run_foreign(void *kind)
{
    static ucontext_t here, there;
    getcontext(&there);
    there.uc_stack.ss_size = STACK;
    /* At the low end of something much larger, as on a heap. */
    there.uc_stack.ss_sp = mmap(NULL, HEAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    there.uc_link = &here;
    makecontext(&there, on_foreign_stack, 0);
    swapcontext(&here, &there);
    return kind;
}
#endif

static pthread_t start_with(void *(*run)(void *), const char *kind, size_t guard, void *stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setguardsize(&attributes, guard);
    pthread_attr_setstacksize(&attributes, 4 * STACK);
    if (stack) {
        pthread_attr_setstack(&attributes, stack, STACK);
    }
    int now = count;
    expect(pthread_create(&thread, &attributes, run, (void *)kind) == 0, "pthread_create");
    while (count == now) {
        sched_yield();
    }
    return thread;
}

static char state_of(int tid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) {
        fclose(file);
    }
    text[size] = 0;
    const char *end = strrchr(text, ')');
    return end ? end[2] : '?';
}

int main(void)
{
    char local = 0;
    expect(pipe(pipe_ends) == 0, "pipe");
    pthread_mutex_lock(&held);
    joined = start_with(run_own, "own", PAGE, NULL);
    start_with(run_own, "large_guard", 16 * PAGE, NULL);
    start_with(run_own, "no_guard", 0, NULL);
    start_with(run_own, "given", PAGE, mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    start_with(run_deep, "deep", PAGE, NULL);
    start_with(run_altstack, "altstack_owner", PAGE, NULL);
    start_with(run_idle_altstack, "idle_altstack", PAGE, NULL);
    start_with(run_mutex, "mutex", PAGE, NULL);
    start_with(run_condition, "condition", PAGE, NULL);
    start_with(run_join, "join", PAGE, NULL);
    start_with(run_sleep, "sleep", PAGE, NULL);
#ifdef __GLIBC__ /* musl has no makecontext */
    start_with(run_foreign, "foreign_owner", PAGE, NULL);
#endif
    for (int index = 0; index < count; index++) {
        while (state_of(tids[index]) != 'S') {
            sched_yield();
        }
    }
    tell("main", &local, 0);
    say("{\"kind\": \"ready\"}");
    hear();
    return 0;
}
