/* Replaces itself again and again, each time from a thread that is not the leader, with siblings about. ARGUMENT 1: how
 * often. */
#include "truth.h"

static char **arguments;
static char remaining[16];

static void *idle(void *unused)
{
    pause();
    return unused;
}

static void *replace(void *unused)
{
    char *next[] = {arguments[0], remaining, NULL};
    execv("/proc/self/exe", next);
    expect(false, "execv");
    return unused;
}

int main(int argc, char **argv)
{
    int left = argc > 1 ? atoi(argv[1]) : 0;
    arguments = argv;
    snprintf(remaining, sizeof remaining, "%d", left - 1);
    if (left == 0) {
        say("end");
        return 7;
    }
    for (int index = 0; index < 4; index++) {
        start(idle, NULL);
    }
    start(replace, NULL);
    pause();
}
