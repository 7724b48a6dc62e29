#define _GNU_SOURCE
#include "reap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tasks.h"

/*
 * Asks first: for a tracer waitid reports a stopped tracee too, whatever the options say (wait_task_stopped in
 * kernel/exit.c), and taking that report would lose a signal that is being delivered. What has ended stays ended.
 * ECHILD for threads that are not ours: no harm.
 */
static void reap_if_ended(pid_t tid)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0) {
        return;
    }
    if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
        waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | __WALL);
    }
}

void ti_reap_ended(pid_t pid)
{
    struct ti_tids tids = {0};
    int directory = ti_tasks_open(pid);
    if (directory < 0) {
        return;
    }
    pid_t leader = ti_task_leader(directory, pid);
    if (leader && ti_tasks_list(directory, &tids) == 0) {
        for (size_t index = 0; index < tids.count; index++) {
            if (tids.items[index] != leader) {
                reap_if_ended(tids.items[index]);
            }
        }
    }
    ti_tids_free(&tids);
    close(directory);
}

bool ti_reap_is_due(pid_t tid)
{
    char path[64], text[32] = {0};
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid); /* proc(5): its number while it sleeps in one */
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return true; /* not built in: reap more often than needed */
    }
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    return size <= 0 || strtol(text, NULL, 10) == SYS_ptrace;
}
