/*
 * Pointers from thread to thread of every kind, each of which is said exactly: who holds it, where, and what it points
 * to.
 *
 * Addresses are carried about with their top bits flipped, and set right by one instruction in the very place that is
 * to hold them: so no other word of the process holds a copy, and whatever else is reported is wrong.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "json_truth.h"

#define MASK 0x7a5a000000000000ull
enum { ALTSTACK = 64 * 1024, DEEP = 16 * 1024 };

typedef uint64_t masked;

/* What the lenders lend. */
static volatile masked live_lent, popped_lent, altstack_lent, guard_lent, exited_lent;
static volatile int arrived, go;
static int pipe_ends[2];

static int *volatile global_live, *volatile global_popped;
static __thread int *volatile local_live;
static int *volatile *heap_words;

/* The address, flipped before it is ever stored. */
#define LEND(variable)                                                                                                 \
    ({                                                                                                                 \
        masked lent_;                                                                                                  \
        __asm__ volatile("leaq %1, %0\n\txorq %2, %0" : "=&r"(lent_) : "m"(variable), "r"(MASK) : "cc");               \
        lent_;                                                                                                         \
    })
/* The word at `place` holds the flipped address, and then the address. */
#define HOLD(place, lent)                                                                                              \
    do {                                                                                                               \
        *(volatile masked *)&(place) = (lent);                                                                         \
        __asm__ volatile("xorq %1, %0" : "+m"(*(volatile masked *)&(place)) : "r"(MASK) : "cc", "memory");             \
    } while (0)

static void row(const char *place, const char *symbol, const volatile void *at, int to, masked value,
                const char *verdict, const char *variable)
{
    TRUTH("{\"kind\": \"row\", \"from\": %d, \"place\": \"%s\", \"symbol\": \"%s\", \"at\": %llu, \"to\": %d, "
          "\"masked\": %llu, \"verdict\": \"%s\", \"variable\": \"%s\"}",
          truth_tid(), place, symbol, truth_hex(at), to, (unsigned long long)value, verdict, variable);
}

static void arrive(void)
{
    __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
}

static void wait_for(volatile int *flag, int value)
{
    while (__atomic_load_n(flag, __ATOMIC_SEQ_CST) < value) {
        sched_yield();
    }
}

/* --- lenders ------------------------------------------------------------------------------------------------------ */
static int live_tid, popped_tid, altstack_tid;

static void *lender_live(void *unused)
{
    volatile int lent[4] = {1, 2, 3, 4};
    void *low;
    size_t size;
    pthread_attr_t attributes;
    live_tid = truth_tid();
    CHECK(pthread_getattr_np(pthread_self(), &attributes));
    CHECK(pthread_attr_getstack(&attributes, &low, &size));
    guard_lent = ((masked)(uintptr_t)low - 64) ^ MASK;
    low = NULL;
    live_lent = LEND(lent[2]);
    arrive();
    truth_sleep();
    return unused;
}

static __attribute__((noinline)) masked lend_and_return(void)
{
    volatile int deep[DEEP / sizeof(int)];
    deep[0] = 1;
    return LEND(deep[0]);
}

static void *lender_popped(void *unused)
{
    popped_tid = truth_tid();
    popped_lent = lend_and_return();
    arrive();
    truth_sleep();
    return unused;
}

static void *lender_exited(void *unused)
{
    exited_lent = lend_and_return();
    return unused;
}

static void in_handler(int number)
{
    volatile int lent = number;
    altstack_lent = LEND(lent);
    arrive();
    truth_sleep();
}

static void *lender_altstack(void *unused)
{
    stack_t stack = {.ss_size = ALTSTACK};
    struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
    altstack_tid = truth_tid();
    stack.ss_sp = mmap(NULL, ALTSTACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(sigaltstack(&stack, NULL));
    CHECK(sigaction(SIGUSR1, &action, NULL));
    CHECK(raise(SIGUSR1));
    return unused;
}

/* --- holders ------------------------------------------------------------------------------------------------------ */
/* Waits with the address in a register that the call preserves, and nowhere else. */
static void pause_with_register(masked lent)
{
    register long number __asm__("rax") = SYS_pause;
    __asm__ volatile("movq %1, %%rbx\n\txorq %2, %%rbx\n1:\tmovl %3, %%eax\n\tsyscall\n\tjmp 1b"
                     : "+r"(number)
                     : "r"(lent), "r"(MASK), "i"(SYS_pause)
                     : "rbx", "rcx", "r11", "memory");
    __builtin_unreachable();
}

static void *register_live(void *unused)
{
    wait_for(&go, 1);
    row("register", "rbx", NULL, live_tid, live_lent, "live", "lent");
    arrive();
    pause_with_register(live_lent);
    return unused;
}

static void *register_popped(void *unused)
{
    wait_for(&go, 1);
    row("register", "rbx", NULL, popped_tid, popped_lent, "dangling_frame", "");
    arrive();
    pause_with_register(popped_lent);
    return unused;
}

/* The kernel will write where the second argument points. */
static void read_into(masked lent)
{
    register long number __asm__("rax") = SYS_read;
    register long descriptor __asm__("rdi") = pipe_ends[0];
    register long size __asm__("rdx") = 1;
    __asm__ volatile("movq %3, %%rsi\n\txorq %4, %%rsi\n\txorl %%r8d, %%r8d\n\tsyscall"
                     : "+r"(number)
                     : "r"(descriptor), "r"(size), "r"(lent), "r"(MASK)
                     : "rsi", "r8", "rcx", "r11", "memory");
}

static void *argument_popped(void *unused)
{
    wait_for(&go, 1);
    row("register", "rsi", NULL, popped_tid, popped_lent, "dangling_frame", "");
    arrive();
    read_into(popped_lent);
    return unused;
}

static void *argument_live(void *unused)
{
    wait_for(&go, 1);
    row("register", "rsi", NULL, live_tid, live_lent, "live", "lent");
    arrive();
    read_into(live_lent);
    return unused;
}

#define STACK_HOLDER(name, lent, to, verdict, variable)                                                                \
    static void *name(void *unused)                                                                                    \
    {                                                                                                                  \
        int *volatile held = NULL;                                                                                     \
        wait_for(&go, 1);                                                                                              \
        row("stack", "held", (const volatile void *)&held, to, lent, verdict, variable);                               \
        HOLD(held, lent);                                                                                              \
        arrive();                                                                                                      \
        truth_sleep();                                                                                                 \
        return unused;                                                                                                 \
    }
STACK_HOLDER(stack_live, live_lent, live_tid, "live", "lent")
STACK_HOLDER(stack_popped, popped_lent, popped_tid, "dangling_frame", "")
STACK_HOLDER(stack_altstack, altstack_lent, altstack_tid, "live", "lent")
STACK_HOLDER(stack_guard, guard_lent, live_tid, "guard", "")
#ifdef __GLIBC__ /* musl gives a finished thread's stack back */
STACK_HOLDER(stack_exited, exited_lent, 0, "dangling_thread", "")
#endif

static void *tls_live(void *unused)
{
    wait_for(&go, 1);
    row("tls", "local_live", (const volatile void *)&local_live, live_tid, live_lent, "live", "lent");
    HOLD(local_live, live_lent);
    arrive();
    truth_sleep();
    return unused;
}

static void in_memory(const char *place, const char *symbol, int *volatile *word, int to, masked lent,
                      const char *verdict, const char *variable)
{
    TRUTH("{\"kind\": \"row\", \"from\": 0, \"place\": \"%s\", \"symbol\": \"%s\", \"at\": %llu, \"to\": %d, "
          "\"masked\": %llu, \"verdict\": \"%s\", \"variable\": \"%s\"}",
          place, symbol, truth_hex(word), to, (unsigned long long)lent, verdict, variable);
    HOLD(*word, lent);
}

static void start(void *(*run)(void *))
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, NULL));
    memset(&thread, 0, sizeof thread);
}

int main(void)
{
    static void *(*const lenders[])(void *) = {lender_live, lender_popped, lender_altstack};
    static void *(*const holders[])(void *) = {
        register_live, register_popped, argument_live, argument_popped, stack_live,
        stack_popped,  stack_altstack,  stack_guard,   tls_live,
#ifdef __GLIBC__
        stack_exited,
#endif
    };
    enum { LENDERS = sizeof lenders / sizeof *lenders, HOLDERS = sizeof holders / sizeof *holders };
    pthread_t exiting;
    CHECK(pipe(pipe_ends));
    for (int index = 0; index < LENDERS; index++) {
        start(lenders[index]);
    }
    wait_for(&arrived, LENDERS);
    for (int index = 0; index < HOLDERS; index++) {
        start(holders[index]);
    }
    /* The last: another thread would get its stack. */
    CHECK(pthread_create(&exiting, NULL, lender_exited, NULL));
    CHECK(pthread_join(exiting, NULL));
    __atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
    wait_for(&arrived, LENDERS + HOLDERS);
    heap_words = malloc(2 * sizeof *heap_words);
    in_memory("heap", "", &heap_words[0], live_tid, live_lent, "live", "lent");
    in_memory("heap", "", &heap_words[1], popped_tid, popped_lent, "dangling_frame", "");
    in_memory("global", "global_live", &global_live, live_tid, live_lent, "live", "lent");
    in_memory("global", "global_popped", &global_popped, popped_tid, popped_lent, "dangling_frame", "");
    truth_ready_and_wait();
    return 0;
}
