/*
 * A process under a seccomp filter that kills it for sigaltstack(). "thread TID LOW HIGH" for two threads, the one
 * spins, the other waits; then "ready". Every line it hears it answers with "alive".
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "truth.h"

static pthread_barrier_t told;

static void tell(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    say("thread %d %p %#lx", own_tid(), low, (unsigned long)low + size);
    pthread_barrier_wait(&told);
}

static void *spin(void *unused)
{
    tell();
    for (volatile unsigned long turn = 0;; turn++) {
    }
    return unused;
}

int main(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sigaltstack, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    pthread_barrier_init(&told, NULL, 2);
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "seccomp");
    start(spin, NULL);
    tell();
    say("ready");
    while (*hear()) {
        say("alive");
    }
    return 0;
}
