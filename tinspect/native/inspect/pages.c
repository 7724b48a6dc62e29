/* Page states by the PAGEMAP_SCAN ioctl (Linux 6.7), or from /proc/PID/pagemap's words
 * (Documentation/admin-guide/mm/pagemap.rst). */
#include "pages.h"

#include "array.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REGIONS_PER_CALL = 1024, WORDS_PER_READ = 32768 };

/* include/uapi/linux/fs.h, Linux 6.7; GUARD since 6.16. Spelt here because the headers we build with are older. */
#define CATEGORY_FILE (1ULL << 2)
#define CATEGORY_PRESENT (1ULL << 3)
#define CATEGORY_SWAPPED (1ULL << 4)
#define CATEGORY_ZERO (1ULL << 5)
#define CATEGORY_GUARD (1ULL << 8)
#define WORD_GUARD (1ULL << 58) /* Linux 6.15 */
#define WORD_FILE (1ULL << 61)
#define WORD_SWAPPED (1ULL << 62)
#define WORD_PRESENT (1ULL << 63)
#define ADVICE_GUARD_INSTALL 102 /* Linux 6.13 */

struct region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

struct scan_request {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};

#define PAGEMAP_SCAN_REQUEST _IOWR('f', 16, struct scan_request)

static int scan(int fd, uint64_t guard_category, uint64_t low, uint64_t high, struct region *regions)
{
    uint64_t wanted = CATEGORY_PRESENT | CATEGORY_SWAPPED | guard_category;
    struct scan_request request = {
        .size = sizeof request,
        .start = low,
        .end = high,
        .vec = (uintptr_t)regions,
        .vec_len = REGIONS_PER_CALL,
        .category_anyof_mask = wanted,
        .return_mask = wanted | CATEGORY_FILE | CATEGORY_ZERO,
    };
    int count = ioctl(fd, PAGEMAP_SCAN_REQUEST, &request);
    return count < 0 ? -errno : count;
}

/* Whether this kernel has guard regions, and whether pagemap shows them: asked of a page of our own. */
static void probe_guards(uint64_t page_size, bool *exist, bool *told)
{
    *exist = *told = false;
    void *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return;
    }
    *exist = madvise(page, page_size, ADVICE_GUARD_INSTALL) == 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t word = 0;
    if (fd >= 0) {
        *told = pread(fd, &word, sizeof word, (off_t)((uintptr_t)page / page_size * sizeof word)) == sizeof word &&
                (word & WORD_GUARD) != 0;
        close(fd);
    }
    munmap(page, page_size);
}

static void choose_way(struct ti_pagemap *map, bool allow_ioctl)
{
    struct region regions[REGIONS_PER_CALL];
    map->guard_category = CATEGORY_GUARD;
    map->by_ioctl = allow_ioctl && scan(map->fd, CATEGORY_GUARD, 0, map->page_size, regions) >= 0;
    map->maybe_guard = false;
    if (map->by_ioctl) {
        return;
    }
    bool exist, told;
    probe_guards(map->page_size, &exist, &told);
    map->guard_category = 0;
    map->maybe_guard = exist && !told;
    /* Without the guard category a guard would look swapped; the words may tell, so the ioctl serves only where there
     * are no guards. */
    map->by_ioctl = allow_ioctl && !exist && scan(map->fd, 0, 0, map->page_size, regions) >= 0;
}

int ti_pagemap_open(struct ti_pagemap *map, pid_t pid, bool allow_ioctl)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
    map->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    map->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (map->fd < 0) {
        return errno == ENOENT ? -ESRCH : -errno;
    }
    choose_way(map, allow_ioctl);
    int error = ti_pagemap_still_there(map);
    if (error) {
        ti_pagemap_close(map);
    }
    return error;
}

void ti_pagemap_close(struct ti_pagemap *map)
{
    if (map->fd >= 0) {
        close(map->fd);
        map->fd = -1;
    }
}

int ti_pagemap_still_there(const struct ti_pagemap *map)
{
    uint64_t word;
    ssize_t got = pread(map->fd, &word, sizeof word, 0);
    if (got < 0) {
        return -errno;
    }
    return got == sizeof word ? 0 : -ESRCH; /* no memory is left behind the descriptor: end of file at once */
}

static int add_run(struct ti_page_runs *runs, uint64_t low, uint64_t high, uint32_t flags)
{
    struct ti_page_run *last = runs->count ? &runs->items[runs->count - 1] : NULL;
    if (last && last->high == low && last->flags == flags) {
        last->high = high;
        return 0;
    }
    if (runs->count == runs->limit) {
        return -E2BIG;
    }
    struct ti_page_run *items = ti_array_room(runs->items, &runs->capacity, runs->count, 1, sizeof *items);
    if (!items) {
        return -ENOMEM;
    }
    runs->items = items;
    items[runs->count++] = (struct ti_page_run){low, high, flags};
    return 0;
}

static uint32_t flags_of_categories(uint64_t categories)
{
    if (categories & CATEGORY_GUARD) {
        return TI_PAGE_GUARD; /* the kernel keeps a guard as a swap entry and says both */
    }
    return (categories & CATEGORY_PRESENT ? TI_PAGE_PRESENT : 0) |
           (categories & CATEGORY_SWAPPED ? TI_PAGE_SWAPPED : 0) | (categories & CATEGORY_ZERO ? TI_PAGE_ZERO : 0) |
           (categories & CATEGORY_FILE ? TI_PAGE_FILE : 0);
}

static uint32_t flags_of_word(uint64_t word, bool maybe_guard)
{
    if (word & WORD_PRESENT) {
        return TI_PAGE_PRESENT | (word & WORD_FILE ? TI_PAGE_FILE : 0);
    }
    if (!(word & WORD_SWAPPED)) {
        return 0;
    }
    if (word & WORD_GUARD) {
        return TI_PAGE_GUARD;
    }
    return maybe_guard ? TI_PAGE_MAYBE_GUARD : TI_PAGE_SWAPPED | (word & WORD_FILE ? TI_PAGE_FILE : 0);
}

static int step_by_words(const struct ti_pagemap *map, uint64_t *cursor, uint64_t high, struct ti_page_runs *runs)
{
    static const uint64_t limit = WORDS_PER_READ;
    uint64_t *words = malloc(limit * sizeof *words);
    if (!words) {
        return -ENOMEM;
    }
    uint64_t left = (high - *cursor) / map->page_size;
    size_t bytes = (left < limit ? left : limit) * sizeof *words;
    ssize_t got = pread(map->fd, words, bytes, (off_t)(*cursor / map->page_size * sizeof *words));
    int error = got < 0 ? -errno : 0;
    for (ssize_t index = 0; !error && index < got / (ssize_t)sizeof *words; index++, *cursor += map->page_size) {
        uint32_t flags = flags_of_word(words[index], map->maybe_guard);
        error = flags ? add_run(runs, *cursor, *cursor + map->page_size, flags) : 0;
    }
    free(words);
    if (got == 0) {
        *cursor = high; /* past the end of the address space, or of the process: ti_pagemap_still_there tells */
    }
    return error;
}

static int step_by_ioctl(const struct ti_pagemap *map, uint64_t *cursor, uint64_t high, struct ti_page_runs *runs)
{
    struct region regions[REGIONS_PER_CALL];
    uint64_t end = high;
    int count;
    /* EFAULT: the range goes beyond the address space, whose end differs by CPU and kernel. Halve until it fits. */
    while ((count = scan(map->fd, map->guard_category, *cursor, end, regions)) == -EFAULT) {
        if (end - *cursor <= map->page_size) {
            *cursor = high;
            return 0;
        }
        end = *cursor + ((end - *cursor) / 2 & -map->page_size);
    }
    if (count < 0) {
        return count;
    }
    for (int index = 0; index < count; index++) {
        int error =
            add_run(runs, regions[index].start, regions[index].end, flags_of_categories(regions[index].categories));
        if (error) {
            return error;
        }
    }
    /* A walk stops early only when the vector is full. walk_end doesn't tell: when a walk of several PMDs comes to its
     * end, the kernel leaves an earlier place in it (seen with 6.18). */
    *cursor = count == REGIONS_PER_CALL ? regions[count - 1].end : end;
    return 0;
}

int ti_pagemap_step(const struct ti_pagemap *map, uint64_t *cursor, uint64_t high, struct ti_page_runs *runs)
{
    static const uint64_t user_end = 1ULL << 63; /* beyond is the kernel's ([vsyscall]): a process has no page there */
    uint64_t end = high < user_end ? (high + map->page_size - 1) & -map->page_size : user_end;
    int error = 0;
    *cursor &= -map->page_size;
    if (*cursor < end) {
        error = map->by_ioctl ? step_by_ioctl(map, cursor, end, runs) : step_by_words(map, cursor, end, runs);
    }
    if (*cursor >= end && *cursor < high) {
        *cursor = high;
    }
    return error;
}
