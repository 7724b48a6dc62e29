/*
 * Threads on every kind of stack. Each says where its stack is, by pthread_getattr_np, and where on it a local array
 * stands; the array holds a pattern grown from its seed. "check" makes every thread verify its pattern.
 *
 * thread KIND TID PTHREAD LOW HIGH LOCAL SEED     KIND: main own given deep altstack
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <signal.h>
#include <sys/mman.h>

#include "truth.h"

enum { WORDS = 64, THREADS = 5 };

static pthread_barrier_t settled, asked, answered;
static volatile int damage;

static void fill(volatile unsigned long *words, unsigned long seed)
{
    for (int index = 0; index < WORDS; index++) {
        words[index] = seed * 0x9e3779b97f4a7c15UL + (unsigned long)index;
    }
}

static void stay(const char *kind, unsigned long seed)
{
    volatile unsigned long words[WORDS];
    pthread_attr_t attributes;
    void *low;
    size_t size;
    fill(words, seed);
    expect(pthread_getattr_np(pthread_self(), &attributes) == 0, "pthread_getattr_np");
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    say("thread %s %d %#lx %p %#lx %p %lu", kind, own_tid(), (unsigned long)pthread_self(), low,
        (unsigned long)low + size, (void *)words, seed);
    pthread_barrier_wait(&settled);
    if (seed == 1) {
        say("ready");
    }
    for (;;) {
        if (seed == 1) {
            const char *command = hear();
            if (strcmp(command, "check") != 0) {
                _exit(0);
            }
        }
        pthread_barrier_wait(&asked);
        for (int index = 0; index < WORDS; index++) {
            damage += words[index] != seed * 0x9e3779b97f4a7c15UL + (unsigned long)index;
        }
        pthread_barrier_wait(&answered);
        if (seed == 1) {
            say(damage ? "damaged" : "intact");
        }
    }
}

static void *run_own(void *unused)
{
    stay("own", 2);
    return unused;
}

static void *run_given(void *unused)
{
    stay("given", 3);
    return unused;
}

/* A large frame whose lower part is never touched. */
static void *run_deep(void *unused)
{
    volatile char *large = alloca(1 << 20);
    large[(1 << 20) - 1] = 1;
    stay("deep", 4);
    return unused;
}

static void handle(int signal)
{
    (void)signal;
    stay("altstack", 5);
}

static void *run_altstack(void *unused)
{
    stack_t stack = {.ss_size = 64 * 1024};
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    expect(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0, "sigaltstack");
    say("altstack %p %#lx", stack.ss_sp, (unsigned long)stack.ss_sp + stack.ss_size);
    raise(SIGUSR1);
    return unused;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t given;
    size_t size = 256 * 1024;
    pthread_barrier_init(&settled, NULL, THREADS);
    pthread_barrier_init(&asked, NULL, THREADS);
    pthread_barrier_init(&answered, NULL, THREADS);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                          size);
    start(run_own, NULL);
    expect(pthread_create(&given, &attributes, run_given, NULL) == 0, "pthread_create");
    start(run_deep, NULL);
    start(run_altstack, NULL);
    stay("main", 1);
}
