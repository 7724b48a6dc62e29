/*
 * Threads that check all the time that nobody has touched them: every general register, flags, the red zone, x87, SSE,
 * AVX and AVX-512 registers, MXCSR, the signal mask, the alternate stack; and every way to block, which must neither
 * return early nor with EINTR. Any fault: "failed WHAT" and exit 3.
 *
 * "thread KIND TID LOW HIGH SP SIZE FLAGS" for each: its stack, and what sigaltstack() says; then "ready".
 * "alive" waits until every thread has made a round, then says "alive INTERRUPTED": how often a call that no stop can
 * leave alone (epoll_wait, recv, sigtimedwait) returned EINTR.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "truth.h"

enum { EACH = 2, ALTSTACK_BYTES = 32768, NAP_NS = 300000 };

static const struct timespec NAP = {0, NAP_NS};
static _Atomic unsigned long interrupted;
static pthread_barrier_t settled;

struct kind {
    const char *name;
    void (*check)(void);
};

struct thread {
    const struct kind *kind;
    int index;
    _Atomic unsigned long rounds;
};

/* All fifteen general registers but rsp, the carry flag and the red zone, each with a value of its own, held in a loop.
 */
static void check_registers(void)
{
    unsigned long wrong;
    __asm__ volatile("push %%rbp\n"
                     "sub $8, %%rsp\n" /* keeps the red zone below the same for every turn */
                     "mov $0x1001, %%rbx\n mov $0x1002, %%rcx\n mov $0x1003, %%rdx\n mov $0x1004, %%rsi\n"
                     "mov $0x1005, %%rdi\n mov $0x1006, %%rbp\n mov $0x1007, %%r8\n mov $0x1008, %%r9\n"
                     "mov $0x1009, %%r10\n mov $0x100a, %%r11\n mov $0x100b, %%r12\n mov $0x100c, %%r13\n"
                     "mov $0x100d, %%r14\n mov $0x100e, %%r15\n mov $0x100f, %%rax\n"
                     "mov %%r15, -8(%%rsp)\n mov %%r14, -64(%%rsp)\n mov %%r13, -128(%%rsp)\n"
                     "mov $20000, %%eax\n"
                     "1: stc\n nop\n nop\n jnc 2f\n clc\n nop\n nop\n jc 2f\n dec %%eax\n jnz 1b\n"
                     "cmp $0x1001, %%rbx\n jne 2f\n cmp $0x1002, %%rcx\n jne 2f\n cmp $0x1003, %%rdx\n jne 2f\n"
                     "cmp $0x1004, %%rsi\n jne 2f\n cmp $0x1005, %%rdi\n jne 2f\n cmp $0x1006, %%rbp\n jne 2f\n"
                     "cmp $0x1007, %%r8\n jne 2f\n cmp $0x1008, %%r9\n jne 2f\n cmp $0x1009, %%r10\n jne 2f\n"
                     "cmp $0x100a, %%r11\n jne 2f\n cmp $0x100b, %%r12\n jne 2f\n cmp $0x100c, %%r13\n jne 2f\n"
                     "cmp $0x100d, %%r14\n jne 2f\n cmp $0x100e, %%r15\n jne 2f\n cmpq $0x100e, -8(%%rsp)\n jne 2f\n"
                     "cmpq $0x100d, -64(%%rsp)\n jne 2f\n cmpq $0x100c, -128(%%rsp)\n jne 2f\n"
                     "xor %%eax, %%eax\n jmp 3f\n"
                     "2: mov $1, %%eax\n"
                     "3: add $8, %%rsp\n pop %%rbp\n"
                     : "=a"(wrong)
                     :
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
                       "memory");
    expect(wrong == 0, "general registers");
}

/* x87: three values on the register stack; SSE: two registers and a rounding mode that is not the default. */
static void check_floating_point(void)
{
    double seen[3];
    unsigned long low[2], mode = 0x7f80, seen_mode = 0, usual = 0x1f80; /* round towards zero */
    __asm__ volatile("ldmxcsr %[mode]\n"
                     "fld1\n fldpi\n fldz\n"
                     "mov $0x1234567, %%rax\n movq %%rax, %%xmm3\n mov $0x7654321, %%rax\n movq %%rax, %%xmm14\n"
                     "mov $20000, %%ecx\n 1: nop\n nop\n dec %%ecx\n jnz 1b\n"
                     "movq %%xmm3, %[low0]\n movq %%xmm14, %[low1]\n"
                     "fstpl %[zero]\n fstpl %[pi]\n fstpl %[one]\n"
                     "stmxcsr %[seen_mode]\n ldmxcsr %[usual]\n"
                     : [low0] "=m"(low[0]), [low1] "=m"(low[1]), [zero] "=m"(seen[0]), [pi] "=m"(seen[1]),
                       [one] "=m"(seen[2]), [seen_mode] "=m"(seen_mode)
                     : [mode] "m"(mode), [usual] "m"(usual)
                     : "rax", "rcx", "xmm3", "xmm14", "memory");
    expect(seen[0] == 0 && seen[1] > 3.14 && seen[1] < 3.15 && seen[2] == 1, "x87 registers");
    expect(low[0] == 0x1234567 && low[1] == 0x7654321, "SSE registers");
    expect((seen_mode & 0x7f80) == mode, "MXCSR");
}

__attribute__((target("avx2"))) static void check_avx(void)
{
    unsigned long high[4];
    __asm__ volatile("mov $0x11223344, %%rax\n movq %%rax, %%xmm7\n vpbroadcastq %%xmm7, %%ymm7\n"
                     "mov $20000, %%ecx\n 1: nop\n nop\n dec %%ecx\n jnz 1b\n"
                     "vmovdqu %%ymm7, (%0)\n vzeroupper\n"
                     :
                     : "r"(high)
                     : "rax", "rcx", "xmm7", "memory");
    expect(high[0] == 0x11223344 && high[1] == high[0] && high[2] == high[0] && high[3] == high[0], "AVX registers");
}

__attribute__((target("avx512f"))) static void check_avx512(void)
{
    unsigned long high[8], mask;
    __asm__ volatile("mov $0x55667788, %%rax\n vpbroadcastq %%rax, %%zmm21\n kmovw %%eax, %%k3\n"
                     "mov $20000, %%ecx\n 1: nop\n nop\n dec %%ecx\n jnz 1b\n"
                     "vmovdqu64 %%zmm21, (%1)\n kmovw %%k3, %%eax\n vzeroupper\n"
                     : "=&a"(mask)
                     : "r"(high)
                     : "rcx", "xmm21", "k3", "memory");
    for (int index = 0; index < 8; index++) {
        expect(high[index] == 0x55667788, "AVX-512 registers");
    }
    expect((mask & 0xffff) == 0x7788, "AVX-512 masks");
}

static unsigned long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000000000UL + (unsigned long)now.tv_nsec;
}

static void check_nanosleep(void)
{
    unsigned long before = now_ns();
    expect(nanosleep(&NAP, NULL) == 0, "nanosleep");
    expect(now_ns() - before >= NAP_NS, "nanosleep's duration");
}

static void check_clock_nanosleep(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    unsigned long wanted = (unsigned long)until.tv_sec * 1000000000UL + (unsigned long)until.tv_nsec + NAP_NS;
    until = (struct timespec){(time_t)(wanted / 1000000000UL), (long)(wanted % 1000000000UL)};
    expect(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0, "clock_nanosleep");
    expect(now_ns() >= wanted, "clock_nanosleep's duration");
}

static void check_futex(void)
{
    _Atomic unsigned word = 0;
    unsigned long before = now_ns();
    long result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &NAP, NULL, 0);
    expect(result < 0 && errno == ETIMEDOUT, "futex");
    expect(now_ns() - before >= NAP_NS, "futex's duration");
}

static void check_poll(void)
{
    unsigned long before = now_ns();
    expect(poll(NULL, 0, 1) == 0, "poll");
    expect(now_ns() - before >= 1000000, "poll's duration");
}

/* ppoll has a signal mask of its own while it waits. */
static void check_ppoll(void)
{
    sigset_t none;
    sigemptyset(&none);
    int result = ppoll(NULL, 0, &NAP, &none);
    expect(result == 0 || errno == EINTR, "ppoll");
    interrupted += result < 0;
}

/* Bytes through a pipe, of which this thread is both ends in turns with its sleep: what is read is what was written. */
static int feed[2], back[2];

static void check_read(void)
{
    static _Thread_local unsigned char next;
    unsigned char byte;
    expect(write(feed[1], &next, 1) == 1, "write");
    expect(read(back[0], &byte, 1) == 1 && byte == next, "read");
    next++;
}

static void check_echo(void)
{
    unsigned char byte;
    expect(read(feed[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1, "echo");
}

static void check_epoll_wait(void)
{
    static _Thread_local int epoll = -1;
    struct epoll_event event;
    epoll = epoll >= 0 ? epoll : epoll_create1(0);
    int result = epoll_wait(epoll, &event, 1, 1);
    expect(result == 0 || errno == EINTR, "epoll_wait");
    interrupted += result < 0;
}

static void check_recv(void)
{
    static _Thread_local int pair[2] = {-1, -1};
    char byte;
    if (pair[0] < 0) {
        struct timeval timeout = {0, 1000};
        expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
        setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    }
    expect(recv(pair[0], &byte, 1, 0) < 0 && (errno == EAGAIN || errno == EINTR), "recv");
    interrupted += errno == EINTR;
}

static void check_sigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    expect(sigtimedwait(&set, NULL, &NAP) < 0 && (errno == EAGAIN || errno == EINTR), "sigtimedwait");
    interrupted += errno == EINTR;
}

/* System calls at full speed: the thread is stopped at their entry, in them, and at their exit. */
static void check_getppid(void)
{
    pid_t parent = getppid();
    for (int turn = 0; turn < 500; turn++) {
        expect(syscall(SYS_getppid) == parent, "getppid");
    }
}

static const struct kind KINDS[] = {
    {"registers", check_registers},
    {"floating_point", check_floating_point},
    {"avx", check_avx},
    {"avx512", check_avx512},
    {"nanosleep", check_nanosleep},
    {"clock_nanosleep", check_clock_nanosleep},
    {"futex", check_futex},
    {"poll", check_poll},
    {"ppoll", check_ppoll},
    {"read", check_read},
    {"echo", check_echo},
    {"epoll_wait", check_epoll_wait},
    {"recv", check_recv},
    {"sigtimedwait", check_sigtimedwait},
    {"getppid", check_getppid},
};

enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static struct thread threads[KIND_COUNT * EACH];

static bool is_possible(const struct kind *kind, int index)
{
    if (kind->check == check_avx) {
        return __builtin_cpu_supports("avx2");
    }
    if (kind->check == check_avx512) {
        return __builtin_cpu_supports("avx512f");
    }
    return index == 0 || (kind->check != check_read && kind->check != check_echo);
}

static void tell(const struct thread *thread, const stack_t *stack)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    say("thread %s %d %p %#lx %#lx %zu %#x", thread->kind->name, own_tid(), low, (unsigned long)low + size,
        (unsigned long)stack->ss_sp, stack->ss_size, (unsigned)stack->ss_flags);
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    stack_t given = {.ss_size = ALTSTACK_BYTES}, stack;
    sigset_t mask, blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    if (thread->index == 0) {
        given.ss_sp = mmap(NULL, ALTSTACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        expect(sigaltstack(&given, NULL) == 0, "sigaltstack");
        sigaddset(&blocked, SIGRTMIN);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    sigaltstack(NULL, &given);
    tell(thread, &given);
    pthread_barrier_wait(&settled);
    for (;;) {
        thread->kind->check();
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        sigaltstack(NULL, &stack);
        for (int number = 1; number < SIGRTMIN + 8; number++) {
            expect(sigismember(&mask, number) == sigismember(&blocked, number), "the signal mask");
        }
        expect(stack.ss_sp == given.ss_sp && stack.ss_size == given.ss_size && stack.ss_flags == given.ss_flags,
               "the alternate stack");
        thread->rounds++;
    }
    return NULL;
}

static void wait_for_rounds(void)
{
    unsigned long before[KIND_COUNT * EACH];
    for (int index = 0; index < KIND_COUNT * EACH; index++) {
        before[index] = threads[index].rounds;
    }
    for (int index = 0; index < KIND_COUNT * EACH; index++) {
        while (threads[index].kind && threads[index].rounds < before[index] + 2) {
            nanosleep(&NAP, NULL);
        }
    }
}

int main(void)
{
    unsigned count = 0;
    expect(pipe(feed) == 0 && pipe(back) == 0, "pipe");
    for (int index = 0; index < KIND_COUNT * EACH; index++) {
        threads[index] = (struct thread){&KINDS[index / EACH], index % EACH, 0};
        threads[index].kind = is_possible(threads[index].kind, threads[index].index) ? threads[index].kind : NULL;
        count += threads[index].kind != NULL;
    }
    pthread_barrier_init(&settled, NULL, count + 1);
    for (int index = 0; index < KIND_COUNT * EACH; index++) {
        if (threads[index].kind) {
            start(run, &threads[index]);
        }
    }
    pthread_barrier_wait(&settled);
    say("ready");
    while (strcmp(hear(), "alive") == 0) {
        wait_for_rounds();
        say("alive %lu", interrupted);
    }
    return 0;
}
