/*
 * Threads with every kind of alternate signal stack; each says what sigaltstack() and its own registers say:
 *
 * thread KIND TID SP SIZE FLAGS FSBASE LOW HIGH    KIND: none set autodisarm disabled onstack spin more main
 *
 * They then wait in a barrier; "spin" spins. The argument is how many more threads
 * to make, with stacks of their own; of those every second one has an alternate stack.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "truth.h"

enum { SIZE = 16384, AUTODISARM = (int)(1U << 31) }; /* SS_AUTODISARM, linux/signal.h */

static pthread_barrier_t told, never;
static pthread_mutex_t speech = PTHREAD_MUTEX_INITIALIZER;

static void tell(const char *kind)
{
    stack_t stack;
    unsigned long base = 0;
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    expect(sigaltstack(NULL, &stack) == 0, "sigaltstack");
    syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
    pthread_mutex_lock(&speech);
    say("thread %s %d %#lx %zu %#x %#lx %p %#lx", kind, own_tid(), (unsigned long)stack.ss_sp, stack.ss_size,
        (unsigned)stack.ss_flags, base, low, (unsigned long)low + size);
    pthread_mutex_unlock(&speech);
    pthread_barrier_wait(&told);
}

static void set(int flags)
{
    stack_t stack = {.ss_size = SIZE, .ss_flags = flags};
    stack.ss_sp = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0, "sigaltstack");
}

static void *run_none(void *kind)
{
    tell(kind);
    pthread_barrier_wait(&never);
    return NULL;
}

static void *run_set(void *kind)
{
    set(0);
    return run_none(kind);
}

static void *run_autodisarm(void *kind)
{
    set(AUTODISARM);
    return run_none(kind);
}

static void *run_disabled(void *kind)
{
    stack_t off = {.ss_flags = SS_DISABLE};
    set(0);
    expect(sigaltstack(&off, NULL) == 0, "sigaltstack");
    return run_none(kind);
}

static void handle(int signal)
{
    (void)signal;
    run_none("onstack");
}

static void *run_onstack(void *kind)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    set(0);
    expect(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
    raise(SIGUSR1);
    return kind;
}

static void *run_spin(void *kind)
{
    set(0);
    tell(kind);
    for (volatile unsigned long turn = 0;; turn++) {
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int more = argc > 1 ? atoi(argv[1]) : 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    pthread_barrier_init(&told, NULL, (unsigned)(7 + more));
    pthread_barrier_init(&never, NULL, (unsigned)(8 + more));
    start(run_none, "none");
    start(run_set, "set");
    start(run_autodisarm, "autodisarm");
    start(run_disabled, "disabled");
    start(run_onstack, "onstack");
    start(run_spin, "spin");
    for (int index = 0; index < more; index++) {
        pthread_t thread;
        expect(pthread_create(&thread, &small, index % 2 ? run_set : run_none, "more") == 0, "pthread_create");
    }
    set(0);
    tell("main");
    say("ready");
    hear();
    return 0;
}
