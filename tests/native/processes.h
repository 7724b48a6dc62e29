/* Tests of what ends a process: they run it in a child. */
#ifndef TI_TEST_PROCESSES_H
#define TI_TEST_PROCESSES_H

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* Runs `function` in a child process; its status, and what it wrote to stderr. */
static inline int outcome_of(void (*function)(void), char *words, size_t room)
{
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        function();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while (length + 1 < room && (got = read(ends[0], words + length, room - 1 - length)) > 0) {
        length += (size_t)got;
    }
    words[length] = 0;
    close(ends[0]);
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

#endif
