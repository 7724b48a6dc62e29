/*
 * A coroutine on a stack of its own, at the low end of a larger mapping, holds a pointer to a local of main. It waits
 * in a system call, so it is in that call for whoever looks.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <ucontext.h>

#include "json_truth.h"

enum { STACK = 64 * 1024, MAPPING = 4 << 20 };

static int *volatile lent;
static volatile int arrived;

static void body(void)
{
    int *volatile held = lent;
    lent = NULL;
    TRUTH("{\"kind\": \"row\", \"from\": %d, \"to\": %d, \"at\": %llu, \"value\": %llu}", truth_tid(), (int)getpid(),
          truth_hex(&held), truth_hex(held));
    arrived = 1;
    truth_sleep();
}

static void *run(void *unused)
{
    static ucontext_t here, there;
    getcontext(&there);
    there.uc_stack.ss_sp = mmap(NULL, MAPPING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    there.uc_stack.ss_size = STACK;
    there.uc_link = &here;
    makecontext(&there, body, 0);
    swapcontext(&here, &there);
    return unused;
}

int main(void)
{
    int local = 1;
    pthread_t thread;
    lent = &local;
    CHECK(pthread_create(&thread, NULL, run, NULL));
    while (!arrived) {
        sched_yield();
    }
    truth_ready_and_wait();
    return local - 1;
}
