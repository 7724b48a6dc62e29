/*
 * Counts signals. Some threads send real-time signals, which queue, to themselves as fast as they can; the test sends
 * more to the process. "count" stops the senders and prints "sent N", "handled N" (those the threads sent themselves)
 * and "received N" (SIGRTMIN+1, from outside).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>

#include "truth.h"

enum { SENDERS = 4 };

static _Atomic long sent, handled, received;
static _Atomic bool stop;

static void handle_own(int signal)
{
    (void)signal;
    handled++;
}

static void handle_outside(int signal)
{
    (void)signal;
    received++;
}

static void *send_to_self(void *unused)
{
    while (!stop) {
        expect(syscall(SYS_tgkill, getpid(), own_tid(), SIGRTMIN) == 0, "tgkill");
        sent++;
    }
    return unused;
}

int main(void)
{
    struct sigaction own = {.sa_handler = handle_own, .sa_flags = SA_RESTART};
    struct sigaction outside = {.sa_handler = handle_outside, .sa_flags = SA_RESTART};
    pthread_t senders[SENDERS];
    sigaction(SIGRTMIN, &own, NULL);
    sigaction(SIGRTMIN + 1, &outside, NULL);
    for (int index = 0; index < SENDERS; index++) {
        senders[index] = start(send_to_self, NULL);
    }
    say("signal %d", SIGRTMIN + 1);
    say("ready");
    hear();
    stop = true;
    for (int index = 0; index < SENDERS; index++) {
        pthread_join(senders[index], NULL);
    }
    say("sent %ld", sent);
    say("handled %ld", handled);
    say("received %ld", received);
    return 0;
}
