/* A thread stands in vfork (uninterruptible) until a line comes; others wait. "thread TID" of the one in vfork,
 * "ready". */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "truth.h"

static int gate[2], begun[2];

static void *call_vfork(void *unused)
{
    char byte;
    say("thread %d", own_tid());
    pid_t child = vfork();
    if (child == 0) {
        syscall(SYS_close, gate[1]);          /* its own copy: the gate also opens when the parent dies */
        syscall(SYS_write, begun[1], "x", 1); /* the child runs: the parent is suspended */
        syscall(SYS_read, gate[0], &byte, 1);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    say("through");
    return unused;
}

int main(void)
{
    char byte;
    expect(pipe(gate) == 0 && pipe(begun) == 0, "pipe");
    pthread_t thread = start(call_vfork, NULL);
    expect(read(begun[0], &byte, 1) == 1, "read");
    say("ready");
    hear();
    expect(write(gate[1], "x", 1) == 1, "write");
    pthread_join(thread, NULL);
    say("end");
    return 0;
}
