/*
 * A thread that spends all its time in restartable sequences. "thread TID LOW HIGH", "ready"; every line it hears it
 * answers with "alive ROUNDS". Says "none" where libc registers no rseq area.
 */
#define _GNU_SOURCE
#include <linux/rseq.h>
#include <stdatomic.h>
#include <sys/rseq.h>

#include "truth.h"

static _Atomic unsigned long rounds;
static struct rseq_cs section __attribute__((aligned(32)));

static void *run(void *unused)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    unsigned long area;
    __asm__("mov %%fs:0, %0" : "=r"(area));
    area += (unsigned long)__rseq_offset;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    say("thread %d %p %#lx", own_tid(), low, (unsigned long)low + size);
    say("ready");
    for (;;) {
        unsigned long scratch;
        /* The four bytes before the abort handler are the signature that libc registered (RSEQ_SIG of sys/rseq.h). */
        __asm__ volatile("lea 1f(%%rip), %[scratch]\n mov %[scratch], 8(%[section])\n"
                         "movq $2f - 1f, 16(%[section])\n"
                         "lea 4f(%%rip), %[scratch]\n mov %[scratch], 24(%[section])\n"
                         "mov %[section], 8(%[area])\n"
                         "1: mov $20000, %[scratch]\n"
                         "3: dec %[scratch]\n jnz 3b\n"
                         "2: jmp 5f\n"
                         ".long 0x53053053\n"
                         "4: nop\n"
                         "5: movq $0, 8(%[area])\n"
                         : [scratch] "=&r"(scratch)
                         : [section] "r"(&section), [area] "r"(area)
                         : "memory", "cc");
        rounds++;
    }
    return unused;
}

int main(void)
{
    if (__rseq_size == 0) {
        say("none");
        return 0;
    }
    start(run, NULL);
    while (*hear()) {
        unsigned long before = rounds;
        while (rounds < before + 2) {
            usleep(100);
        }
        say("alive %lu", rounds);
    }
    return 0;
}
