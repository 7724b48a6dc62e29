/* Installs handlers with every kind of flags and says what sigaction(2) answers of each signal:
 *
 * signal NUMBER HANDLER FLAGS    HANDLER: an address, 0 the default, 1 ignored; FLAGS without SA_RESTORER
 * thread KIND TID                KIND: with (an alternate stack), without
 *
 * usage: handlers_truth PLACE, where SIGSEGV and SIGBUS are handled: onstack | plain | default. A line on stdin after
 * that lets it turn SIGUSR1's handler on and off for ever. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>

#include "truth.h"

enum { SA_RESTORER_BIT = 0x04000000, STACK = 65536 };

static pthread_barrier_t told, never;
static pthread_mutex_t speech = PTHREAD_MUTEX_INITIALIZER;

void handle_plainly(int number)
{
    (void)number;
}

void handle_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    _exit(number);
}

static void install(int number, int flags)
{
    struct sigaction action = {.sa_flags = flags};
    if (flags & SA_SIGINFO) {
        action.sa_sigaction = handle_fault;
    } else {
        action.sa_handler = handle_plainly;
    }
    expect(sigaction(number, &action, NULL) == 0, "sigaction");
}

static void set_alternate_stack(void)
{
    stack_t stack = {.ss_sp = malloc(STACK), .ss_size = STACK};
    expect(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0, "sigaltstack");
}

static void *wait_with(void *kind)
{
    if (strcmp(kind, "with") == 0) {
        set_alternate_stack();
    }
    pthread_mutex_lock(&speech);
    say("thread %s %d", (char *)kind, own_tid());
    pthread_mutex_unlock(&speech);
    pthread_barrier_wait(&told);
    pthread_barrier_wait(&never);
    return NULL;
}

static void tell_actions(void)
{
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0) { /* libc keeps two for itself */
            say("signal %d %#lx %#x", number, (unsigned long)action.sa_handler,
                (unsigned)action.sa_flags & ~(unsigned)SA_RESTORER_BIT);
        }
    }
}

int main(int argc, char **argv)
{
    const char *place = argc > 1 ? argv[1] : "";
    pthread_barrier_init(&told, NULL, 4);
    pthread_barrier_init(&never, NULL, 4);
    set_alternate_stack();
    start(wait_with, "with");
    start(wait_with, "without");
    start(wait_with, "without");
    if (strcmp(place, "default") != 0) {
        const int on = strcmp(place, "onstack") == 0 ? SA_ONSTACK : 0;
        install(SIGSEGV, SA_SIGINFO | on);
        install(SIGBUS, SA_SIGINFO | on | SA_NODEFER);
    }
    install(SIGUSR1, 0);
    install(SIGUSR2, SA_RESTART | SA_RESETHAND | SA_ONSTACK);
    install(SIGCHLD, SA_NOCLDSTOP | SA_NOCLDWAIT | SA_NODEFER | SA_RESTART);
    install(SIGRTMIN + 3, SA_SIGINFO);
    signal(SIGPIPE, SIG_IGN);
    pthread_barrier_wait(&told);
    tell_actions();
    say("thread main %d", own_tid());
    say("ready");
    hear();
    for (;;) {
        struct sigaction off = {.sa_handler = SIG_DFL};
        install(SIGUSR1, SA_ONSTACK | SA_RESTART);
        expect(sigaction(SIGUSR1, &off, NULL) == 0, "sigaction");
    }
}
