/* Threads that load known values into every xmm or ymm register and the x87 stack, and then sleep in a system call:
 *
 * thread TID WIDTH    register n of thread TID is filled with bytes of value (TID + n) % 256, WIDTH (16 or 32) of them;
 *                     st0 is TID
 *
 * The argument is how many threads. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>

#include "truth.h"

enum { REGISTERS = 16 };

static _Atomic int ready;

static void load_and_sleep(const unsigned char (*values)[32], double *number, int wide)
{
    static const struct timespec forever = {1 << 30, 0};
#define EACH(load, prefix)                                                                                             \
    load " 0(%[v]), " prefix "0\n" load " 32(%[v]), " prefix "1\n" load " 64(%[v]), " prefix "2\n" load                \
         " 96(%[v]), " prefix "3\n" load " 128(%[v]), " prefix "4\n" load " 160(%[v]), " prefix "5\n" load             \
         " 192(%[v]), " prefix "6\n" load " 224(%[v]), " prefix "7\n" load " 256(%[v]), " prefix "8\n" load            \
         " 288(%[v]), " prefix "9\n" load " 320(%[v]), " prefix "10\n" load " 352(%[v]), " prefix "11\n" load          \
         " 384(%[v]), " prefix "12\n" load " 416(%[v]), " prefix "13\n" load " 448(%[v]), " prefix "14\n" load         \
         " 480(%[v]), " prefix "15\n"
    /* Loaded and asleep in one piece: nothing in between can change a register. */
#define SLEEP "fldl (%[n])\n lock incl %[ready]\n mov $35, %%eax\n mov %[time], %%rdi\n xor %%esi, %%esi\n syscall\n"
#define OPERANDS                                                                                                         \
    : [ready] "+m"(ready) \
    : [v] "r"(values), [n] "r"(number), [time] "r"(&forever) \
    : "rax", "rcx", "rdi", "rsi", "r11", "memory", "st", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
      "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
    if (wide) {
        __asm__ volatile(EACH("vmovdqu", "%%ymm") SLEEP OPERANDS);
    } else {
        __asm__ volatile(EACH("movdqu", "%%xmm") SLEEP OPERANDS);
    }
}

static void *run(void *argument)
{
    static pthread_mutex_t speech = PTHREAD_MUTEX_INITIALIZER;
    unsigned char values[REGISTERS][32];
    double number = own_tid();
    const int wide = __builtin_cpu_supports("avx") != 0;
    for (int index = 0; index < REGISTERS; index++) {
        memset(values[index], own_tid() + index, sizeof values[index]);
    }
    pthread_mutex_lock(&speech);
    say("thread %d %d", own_tid(), wide ? 32 : 16);
    pthread_mutex_unlock(&speech);
    load_and_sleep(values, &number, wide);
    return argument;
}

int main(int argc, char **argv)
{
    const int count = argc > 1 ? atoi(argv[1]) : 3;
    for (int index = 0; index < count; index++) {
        start(run, "vectors");
    }
    while (atomic_load(&ready) < count) {
        sched_yield();
    }
    say("ready");
    hear();
    return 0;
}
