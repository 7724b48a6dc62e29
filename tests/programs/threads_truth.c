/* Threads of every kind of stack. Each prints what pthread_getattr_np tells it of itself. */
#define _GNU_SOURCE
#include "json_truth.h"

#include <sched.h>
#include <sys/mman.h>

static pthread_barrier_t born;

static void tell(const char *name, void *start, void *argument)
{
    pthread_attr_t attributes;
    void *low;
    size_t size, guard;
    CHECK(pthread_getattr_np(pthread_self(), &attributes));
    CHECK(pthread_attr_getstack(&attributes, &low, &size));
    CHECK(pthread_attr_getguardsize(&attributes, &guard));
    TRUTH("{\"kind\": \"thread\", \"name\": \"%s\", \"tid\": %d, \"pthread\": %llu, \"low\": %llu, \"high\": %llu, "
          "\"guard\": %zu, "
          "\"start\": %llu, \"argument\": %llu}",
          name, truth_tid(), truth_hex((void *)pthread_self()), truth_hex(low), truth_hex((char *)low + size), guard,
          truth_hex(start), truth_hex(argument));
    CHECK(pthread_attr_destroy(&attributes));
}

static void *body(void *name)
{
    tell(name, (void *)body, name);
    pthread_barrier_wait(&born);
    truth_sleep();
}

static void *finished(void *result)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    CHECK(pthread_getattr_np(pthread_self(), &attributes));
    CHECK(pthread_attr_getstack(&attributes, &low, &size));
    *(uintptr_t *)result = (uintptr_t)low;
    CHECK(pthread_attr_destroy(&attributes));
    pthread_barrier_wait(&born); /* all finished threads live at once, so none reuses another's stack */
    return NULL;
}

static void start(const char *name, pthread_attr_t *attributes)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, attributes, body, (void *)name));
}

/* A thread that libc knows nothing of: it shares our memory, and sleeps without using a stack. musl's clone() refuses
 * to make one. */
static int raw_thread(char *stack_end)
{
    long result;
    register long zero_r10 __asm__("r10") = 0;
    register long zero_r8 __asm__("r8") = 0;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 2f\n"
                     "1:\tmov $34, %%eax\n\t" /* pause */
                     "syscall\n\t"
                     "jmp 1b\n"
                     "2:"
                     : "=a"(result)
                     : "a"(SYS_clone),
                       "D"(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM),
                       "S"(stack_end), "d"(0L), "r"(zero_r10), "r"(zero_r8)
                     : "rcx", "r11", "memory");
    return (int)result;
}

int main(void)
{
    enum { KINDS = 6, FINISHED = 3 };
    pthread_attr_t attributes;
    pthread_t ended[FINISHED];
    uintptr_t ended_low[FINISHED];

    CHECK(pthread_barrier_init(&born, NULL, FINISHED));
    for (int index = 0; index < FINISHED; index++) {
        CHECK(pthread_create(&ended[index], NULL, finished, &ended_low[index]));
    }
    for (int index = 0; index < FINISHED; index++) {
        CHECK(pthread_join(ended[index], NULL));
    }

    CHECK(pthread_barrier_init(&born, NULL, KINDS + 1));
    CHECK(pthread_attr_init(&attributes));
    start("default", NULL);
    CHECK(pthread_attr_setstacksize(&attributes, 192 * 1024));
    start("small", &attributes);
    CHECK(pthread_attr_setguardsize(&attributes, 65536));
    start("wide guard", &attributes);
    CHECK(pthread_attr_setguardsize(&attributes, 0));
    CHECK(pthread_attr_setstacksize(&attributes, 320 * 1024));
    start("no guard", &attributes);
    CHECK(pthread_attr_setguardsize(&attributes, 4096));
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
    start("detached", &attributes);
    CHECK(pthread_attr_init(&attributes));
    char *own = mmap(NULL, 256 * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (own == MAP_FAILED) {
        return 1;
    }
    CHECK(pthread_attr_setstack(&attributes, own, 256 * 1024));
    start("user", &attributes);
    pthread_barrier_wait(&born);

    char *raw = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) {
        return 1;
    }
    int tid = raw_thread(raw + 65536);
    if (tid < 0) {
        return 1;
    }
    TRUTH("{\"kind\": \"raw\", \"tid\": %d}", tid);

    for (int index = 0; index < FINISHED; index++) {
        TRUTH("{\"kind\": \"finished\", \"low\": %llu}", (unsigned long long)ended_low[index]);
    }
    tell("main", NULL, NULL);
    truth_ready_and_wait();
    _exit(0);
}
