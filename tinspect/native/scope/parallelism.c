/* How many threads can run at once: the affinity mask, cut by the cgroup's CPU quota. */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinspect/thread.h"

static size_t processors_allowed(void)
{
    /* The mask must be as large as the kernel's, which only trying tells. */
    for (int processors = 1024; processors <= 1 << 20; processors *= 2) {
        cpu_set_t *mask = CPU_ALLOC((size_t)processors);
        if (mask == NULL) {
            break;
        }
        size_t size = CPU_ALLOC_SIZE((size_t)processors);
        int count = sched_getaffinity(0, size, mask) == 0 ? CPU_COUNT_S(size, mask) : 0;
        CPU_FREE(mask);
        if (count > 0) {
            return (size_t)count;
        }
    }
    return 1;
}

/* Reads one line; false if there is none. */
static bool read_line(const char *path, char *line, int room)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool read = fgets(line, room, file) != NULL;
    fclose(file);
    return read;
}

static size_t whole_processors(unsigned long long quota, unsigned long long period)
{
    return period == 0 || quota / period == 0 ? 1 : (size_t)(quota / period);
}

/* cpu.max is "QUOTA PERIOD" or "max PERIOD" (Documentation/admin-guide/cgroup-v2.rst). */
static size_t quota_v2(const char *directory)
{
    char path[PATH_MAX + 64];
    char line[128];
    unsigned long long quota;
    unsigned long long period;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", directory);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%llu %llu", &quota, &period) != 2) {
        return SIZE_MAX;
    }
    return whole_processors(quota, period);
}

static size_t quota_v1(const char *directory)
{
    char path[PATH_MAX + 64];
    char line[128];
    long long quota;
    unsigned long long period;
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", directory);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lld", &quota) != 1 || quota <= 0) {
        return SIZE_MAX;
    }
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", directory);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%llu", &period) != 1) {
        return SIZE_MAX;
    }
    return whole_processors((unsigned long long)quota, period);
}

/* The least quota from `directory` up to the root: each level limits those below. */
static size_t least_quota(char *directory, size_t (*quota)(const char *))
{
    size_t least = SIZE_MAX;
    for (;;) {
        size_t here = quota(directory);
        least = here < least ? here : least;
        char *slash = strrchr(directory, '/');
        if (slash == NULL) {
            return least;
        }
        *slash = 0;
    }
}

/* Is `controllers` (comma-separated) one with "cpu" in it? */
static bool has_cpu(const char *controllers)
{
    for (const char *at = strstr(controllers, "cpu"); at != NULL; at = strstr(at + 1, "cpu")) {
        bool begins = at == controllers || at[-1] == ',';
        if (begins && (at[3] == 0 || at[3] == ',')) {
            return true;
        }
    }
    return false;
}

static size_t cgroup_quota(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL) {
        return SIZE_MAX;
    }
    char line[PATH_MAX + 64];
    size_t least = SIZE_MAX;
    /* "HIERARCHY:CONTROLLERS:PATH" (cgroups(7)); version 2 has hierarchy 0 and no controllers. */
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL) {
            continue;
        }
        *path++ = 0;
        controllers++;
        size_t here = SIZE_MAX;
        if (*controllers == 0) {
            here = least_quota(path, quota_v2);
        } else if (has_cpu(controllers)) {
            here = least_quota(path, quota_v1);
        }
        least = here < least ? here : least;
    }
    fclose(file);
    return least;
}

size_t ti_available_parallelism(void)
{
    int cancellable; /* files are open in between */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
    size_t allowed = processors_allowed();
    size_t quota = cgroup_quota();
    pthread_setcancelstate(cancellable, NULL);
    return quota < allowed ? quota : allowed;
}
