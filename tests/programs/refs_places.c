/* Addresses of every kind, each said with what lies there. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>

#include "json_truth.h"

enum { ALTSTACK = 64 * 1024, LARGE = 3000 };

static int data_word = 7;
static __thread int thread_word = 8;
static volatile int arrived;

static void place(const char *kind, const volatile void *address, const char *name)
{
    TRUTH("{\"kind\": \"place\", \"what\": \"%s\", \"address\": %llu, \"tid\": %d, \"name\": \"%s\"}", kind,
          truth_hex(address), truth_tid(), name);
}

static void in_handler(int number)
{
    volatile int on_altstack = number;
    place("altstack", &on_altstack, "on_altstack");
    __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
    truth_sleep();
}

static void *standing(void *unused)
{
    volatile int on_stack = 1;
    void *low;
    size_t size;
    pthread_attr_t attributes;
    stack_t stack = {.ss_size = ALTSTACK};
    struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
    CHECK(pthread_getattr_np(pthread_self(), &attributes));
    CHECK(pthread_attr_getstack(&attributes, &low, &size));
    place("stack", &on_stack, "on_stack");
    place("guard", (char *)low - 8, "");
    place("descriptor", (void *)pthread_self(), "");
    thread_word = 9;
    place("tls", &thread_word, "thread_word");
    stack.ss_sp = mmap(NULL, ALTSTACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(sigaltstack(&stack, NULL));
    CHECK(sigaction(SIGUSR1, &action, NULL));
    CHECK(raise(SIGUSR1));
    return unused;
}

/* In the malloc arena of a thread. */
static void *allocating(void *unused)
{
    char *used = calloc(1, LARGE), *freed = calloc(1, LARGE), *wall = calloc(1, LARGE);
    place("heap", used + 100, "used");
    place("heap", wall, "used");
    place("heap", freed + 200, "free");
    free(freed);
    return unused;
}

static void *ending(void *unused)
{
    volatile int on_cached = 1;
    place("cached_stack", &on_cached, "");
    return unused;
}

int main(void)
{
    volatile int on_main = 1;
    pthread_t thread;
    char *used, *freed, *wall, *gone;
    CHECK(pthread_create(&thread, NULL, standing, NULL));
    while (!__atomic_load_n(&arrived, __ATOMIC_SEQ_CST)) {
    }
    CHECK(pthread_create(&thread, NULL, allocating, NULL));
    CHECK(pthread_join(thread, NULL));
    CHECK(pthread_create(&thread, NULL, ending, NULL));
    CHECK(pthread_join(thread, NULL));
    used = malloc(LARGE);
    freed = malloc(LARGE);
    wall = malloc(LARGE);
    place("heap", used + 100, "used");
    place("heap", wall, "used");
    place("heap", freed + 200, "free");
    free(freed);
    gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    place("mapping", gone, "");
    place("stack", &on_main, "on_main");
    place("module", &data_word, "data_word");
    place("module", (void *)(uintptr_t)&ending, "ending");
    place("unmapped", (void *)4096, "");
    truth_ready_and_wait();
    return used == wall;
}
