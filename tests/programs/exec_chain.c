/* Replaces itself again and again, each time from a thread that is not the leader, with siblings about, until a line
 * comes: "end". */
#include <poll.h>

#include "truth.h"

static char **arguments;

static void *idle(void *unused)
{
    pause();
    return unused;
}

static void *replace(void *unused)
{
    execv("/proc/self/exe", arguments);
    expect(false, "execv");
    return unused;
}

int main(int count, char **values)
{
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    (void)count;
    arguments = values;
    if (poll(&input, 1, 0) > 0) {
        say("end");
        return 7;
    }
    for (int index = 0; index < 4; index++) {
        start(idle, NULL);
    }
    start(replace, NULL);
    pause();
}
