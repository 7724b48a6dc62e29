// Threads that stand still in every kind of call stack an unwinder must follow. Prints "KIND TID" for each, then
// "ready"; every thread waits in pause. Built with several sets of flags by tests/integration/test_unwind.py.
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define KEEP() __asm__ volatile("" ::: "memory")

static sem_t arrived;

static void announce(const char *kind)
{
    printf("%s %ld\n", kind, syscall(SYS_gettid));
    fflush(stdout);
    sem_post(&arrived);
}

static NOINLINE void stand_still(const char *kind)
{
    announce(kind);
    for (;;) {
        pause();
        KEEP();
    }
}

// Plain calls, with values that live in callee-saved registers across them.
static NOINLINE long inner(long a, long b)
{
    long sum = a * b;
    stand_still("plain");
    return sum + a - b;
}
static NOINLINE long middle(long a)
{
    long x = a + 1, y = a * 3, z = a ^ 5;
    long r = inner(x, y);
    KEEP();
    return r + x + y + z;
}
static void *plain(void *argument)
{
    return (void *)(middle((long)argument) + 1);
}

static NOINLINE long recurse(long depth)
{
    volatile char filler[48];
    filler[depth % 48] = (char)depth;
    if (depth == 0) {
        stand_still("recursion");
    }
    long r = recurse(depth - 1);
    return r + filler[depth % 48];
}
static void *recursion(void *argument)
{
    return (void *)recurse((long)argument);
}

// A frame whose size only the frame pointer knows.
static NOINLINE long variable_frame(long size)
{
    char *room = alloca((size_t)size);
    memset(room, 1, (size_t)size);
    KEEP();
    stand_still("alloca");
    return room[size - 1];
}
static void *alloca_thread(void *argument)
{
    return (void *)variable_frame((long)argument);
}

// A realigned frame: the CFA is found by an expression, or through a saved argument pointer.
static NOINLINE long aligned_frame(long seed)
{
    _Alignas(64) volatile char block[128];
    block[seed % 128] = 1;
    char *room = alloca((size_t)seed);
    room[0] = 2;
    KEEP();
    stand_still("aligned");
    return block[0] + room[0];
}
static void *aligned_thread(void *argument)
{
    return (void *)aligned_frame((long)argument);
}

// The call of a function that never returns is the last instruction: the return address is past the end of the caller.
static NOINLINE __attribute__((noreturn)) void never(long value)
{
    volatile long kept = value;
    stand_still("noreturn");
    _exit((int)kept);
}
static NOINLINE __attribute__((noreturn)) void calls_never(long value)
{
    never(value + 1);
}
static void *noreturn_thread(void *argument)
{
    calls_never((long)argument);
}

static __thread const char *signal_kind;
static void on_signal(int number)
{
    volatile int kept = number;
    stand_still(signal_kind);
    (void)kept;
}
static void use_alternate_stack(void)
{
    stack_t stack = {.ss_size = 65536};
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL)) {
        abort();
    }
}
static NOINLINE long raises(long value)
{
    long kept = value * 7;
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
    KEEP();
    return kept;
}
static void *alternate(void *argument)
{
    use_alternate_stack();
    signal_kind = "altstack";
    return (void *)raises((long)argument);
}
static NOINLINE long raises_usr2(long value)
{
    long kept = value * 7;
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2);
    KEEP();
    return kept;
}
static void *same_stack(void *argument)
{
    signal_kind = "handler";
    return (void *)raises_usr2((long)argument);
}

static void (*volatile nowhere)(void);
static NOINLINE long calls_null(long value)
{
    volatile long kept = value;
    nowhere();
    KEEP();
    return kept;
}
static void *null_call(void *argument)
{
    use_alternate_stack();
    signal_kind = "null_call";
    return (void *)calls_null((long)argument);
}

static void start(void *(*routine)(void *), long argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, (void *)argument)) {
        abort();
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sem_init(&arrived, 0, 0);
    sigaction(SIGUSR2, &action, NULL);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    start(plain, 3);
    start(recursion, 100);
    start(alloca_thread, 1000);
    start(aligned_thread, 100);
    start(noreturn_thread, 4);
    start(alternate, 5);
    start(same_stack, 6);
    start(null_call, 7);
    for (int i = 0; i < 8; i++) {
        sem_wait(&arrived);
    }
    stand_still("ready\nmain");
}
