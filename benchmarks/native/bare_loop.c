/*
 * The measure for the pause: the least that any tool does to see every thread's registers. Seize, interrupt, wait,
 * read, detach, one loop each. Prints the nanoseconds of that, the threads, and the stopped ones.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

static long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static int list_threads(const char *pid, pid_t *tids, int capacity)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *directory = opendir(path);
    int count = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        pid_t tid = (pid_t)atoi(entry->d_name);
        if (tid > 0 && count < capacity) {
            tids[count++] = tid;
        }
    }
    if (directory) {
        closedir(directory);
    }
    return count;
}

int main(int argc, char **argv)
{
    static pid_t tids[65536];
    static struct user_regs_struct registers[65536];
    int count = argc > 1 ? list_threads(argv[1], tids, 65536) : 0, status, stopped = 0;
    long start = now_ns();
    for (int index = 0; index < count; index++) {
        ptrace(PTRACE_SEIZE, tids[index], NULL, NULL);
    }
    for (int index = 0; index < count; index++) {
        ptrace(PTRACE_INTERRUPT, tids[index], NULL, NULL);
    }
    for (int index = 0; index < count; index++) {
        stopped += waitpid(tids[index], &status, __WALL) == tids[index] && WIFSTOPPED(status);
    }
    for (int index = 0; index < count; index++) {
        struct iovec vector = {&registers[index], sizeof registers[index]};
        ptrace(PTRACE_GETREGSET, tids[index], NT_PRSTATUS, &vector);
    }
    for (int index = 0; index < count; index++) {
        ptrace(PTRACE_DETACH, tids[index], NULL, NULL);
    }
    printf("%ld %d %d\n", now_ns() - start, count, stopped);
    return count == 0 || stopped != count;
}
