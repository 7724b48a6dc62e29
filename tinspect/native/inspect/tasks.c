#define _GNU_SOURCE
#include "tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "array.h"

enum { LISTING = 256 * 1024 }; /* ten thousand entries of 24 to 32 bytes: few calls, each walks the thread list anew */

struct directory_entry { /* linux_dirent64 of getdents(2) */
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

int ti_tasks_open(pid_t pid)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory >= 0 ? directory : errno == ENOENT ? -ESRCH : -errno;
}

static int add_entries(const char *buffer, size_t size, struct ti_tids *tids)
{
    for (size_t at = 0; at < size;) {
        const struct directory_entry *entry = (const struct directory_entry *)(buffer + at);
        at += entry->length;
        pid_t tid = (pid_t)strtol(entry->name, NULL, 10); /* 0 for "." and ".." */
        if (tid <= 0) {
            continue;
        }
        pid_t *items = ti_array_room(tids->items, &tids->capacity, tids->count, 1, sizeof *items);
        if (!items) {
            return ENOMEM;
        }
        tids->items = items;
        items[tids->count++] = tid;
    }
    return 0;
}

static int compare_tids(const void *left, const void *right)
{
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
    return (a > b) - (a < b);
}

void ti_tids_sort(struct ti_tids *tids)
{
    size_t kept = 0;
    if (tids->count > 1) {
        qsort(tids->items, tids->count, sizeof *tids->items, compare_tids);
    }
    for (size_t index = 0; index < tids->count; index++) {
        if (kept == 0 || tids->items[kept - 1] != tids->items[index]) {
            tids->items[kept++] = tids->items[index];
        }
    }
    tids->count = kept;
}

bool ti_tids_hold(const struct ti_tids *tids, pid_t tid)
{
    return tids->count && bsearch(&tid, tids->items, tids->count, sizeof tid, compare_tids);
}

int ti_tasks_list(int directory, struct ti_tids *tids)
{
    char *buffer = malloc(LISTING);
    if (!buffer) {
        return ENOMEM;
    }
    tids->count = 0;
    int error = lseek(directory, 0, SEEK_SET) < 0 ? errno : 0;
    while (!error) {
        long size = syscall(SYS_getdents64, directory, buffer, LISTING);
        if (size <= 0) {
            error = size < 0 ? (errno == ENOENT ? ESRCH : errno) : 0;
            break;
        }
        error = add_entries(buffer, (size_t)size, tids);
    }
    free(buffer);
    ti_tids_sort(tids); /* while an execve gives a thread the leader's id, a listing may show that id twice */
    return error;
}

size_t ti_tasks_count(int directory)
{
    struct stat status;
    return fstat(directory, &status) == 0 && status.st_nlink > 2 ? (size_t)status.st_nlink - 2 : 0;
}

static ssize_t read_task_file(int directory, pid_t tid, const char *name, char *into, size_t size)
{
    char path[32];
    snprintf(path, sizeof path, "%d/%s", tid, name);
    int file = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return -1;
    }
    ssize_t got = read(file, into, size - 1);
    close(file);
    into[got > 0 ? got : 0] = 0;
    return got;
}

char ti_task_state(int directory, pid_t tid)
{
    char line[512];
    ssize_t size = read_task_file(directory, tid, "stat", line, sizeof line);
    /* The name in parentheses may hold anything, parentheses too: the state follows the last one. */
    const char *end = size > 0 ? memrchr(line, ')', (size_t)size) : NULL;
    return end && end + 2 < line + size ? end[2] : 0;
}

/* `field` begins with a newline: a thread's name cannot forge a line, the kernel escapes a newline in it. */
static pid_t read_status_id(int directory, pid_t tid, const char *field)
{
    char text[4096];
    if (read_task_file(directory, tid, "status", text, sizeof text) <= 0) {
        return 0;
    }
    const char *line = strstr(text, field);
    return line ? (pid_t)strtol(line + strlen(field), NULL, 10) : 0;
}

bool ti_task_exists(int directory, pid_t tid)
{
    char name[16];
    snprintf(name, sizeof name, "%d", tid);
    return faccessat(directory, name, F_OK, 0) == 0;
}

pid_t ti_task_tracer(int directory, pid_t tid)
{
    return read_status_id(directory, tid, "\nTracerPid:");
}

pid_t ti_task_leader(int directory, pid_t tid)
{
    return read_status_id(directory, tid, "\nTgid:");
}

bool ti_task_is_dead(int directory, pid_t tid)
{
    char state = ti_task_state(directory, tid);
    return state == 0 || state == 'Z' || state == 'X';
}

pid_t ti_tasks_find_living(pid_t pid)
{
    int directory = ti_tasks_open(pid);
    if (directory < 0) {
        return 0;
    }
    struct ti_tids tids = {0};
    pid_t living = ti_task_is_dead(directory, pid) ? 0 : pid;
    if (!living && ti_tasks_list(directory, &tids) == 0) {
        for (size_t index = 0; index < tids.count && !living; index++) {
            living = ti_task_is_dead(directory, tids.items[index]) ? 0 : tids.items[index];
        }
    }
    ti_tids_free(&tids);
    close(directory);
    return living;
}

void ti_tids_free(struct ti_tids *tids)
{
    free(tids->items);
    *tids = (struct ti_tids){0};
}
