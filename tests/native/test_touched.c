/* The inspector's look at touched pages, where the target is gone. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "touched.h"

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* A zombie: some kernels open its page map, which is empty then, others refuse. */
static void a_target_that_died_leaves_nothing_open(void)
{
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    siginfo_t info;
    CHECK_EQUAL(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    int before = open_descriptors();
    struct ti_touched touched = {.tid = child};
    struct ti_ranges ranges = {0};
    CHECK_EQUAL(ti_touched_add(&touched, 4096, 1 << 20, &ranges), ENODATA);
    ti_touched_close(&touched);
    CHECK_EQUAL(open_descriptors(), before);
    CHECK_EQUAL(ranges.count, 0);
    CHECK_EQUAL(waitpid(child, NULL, 0), child);
}

static void touched_pages_are_told_cut_to_the_range(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t low = (uint64_t)(uintptr_t)memory;
    CHECK(memory != MAP_FAILED);
    memory[2 * page] = memory[3 * page] = memory[6 * page] = 1;
    struct ti_touched touched = {.tid = getpid()};
    struct ti_ranges ranges = {0};
    int error = ti_touched_add(&touched, low + 2 * page + 8, low + 6 * page + 8, &ranges);
    if (error != ENODATA) { /* a kernel that tells nobody */
        CHECK_EQUAL(error, 0);
        CHECK_EQUAL(ranges.count, 2);
        CHECK(ranges.items[0].low == low + 2 * page + 8 && ranges.items[0].high == low + 4 * page);
        CHECK(ranges.items[1].low == low + 6 * page && ranges.items[1].high == low + 6 * page + 8);
    }
    ti_touched_close(&touched);
    ti_ranges_free(&ranges);
    munmap(memory, 8 * page);
}

TEST_MAIN(TEST(a_target_that_died_leaves_nothing_open), TEST(touched_pages_are_told_cut_to_the_range))
