/*
 * A region whose pages are in every state, and says so: "page KIND ADDRESS" for each page, then "ready".
 * KIND: written read untouched file shared dropped guard; guards only where the kernel has them.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "truth.h"

enum { GUARD_INSTALL = 102 }; /* MADV_GUARD_INSTALL, Linux 6.13 */

static char *map(int flags, int fd)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
    expect(page != MAP_FAILED, "mmap");
    return page;
}

static volatile char sink;

int main(int argc, char **argv)
{
    char *block = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(argc && block != MAP_FAILED && madvise(block, 64 * 4096, MADV_NOHUGEPAGE) == 0, "a region");
    for (int index = 0; index < 64; index++) {
        char *page = block + index * 4096;
        const char *kind = "untouched";
        if (index % 8 < 2) {
            *page = 1;
            kind = "written";
        } else if (index % 8 == 3) {
            sink = *page;
            kind = "read";
        } else if (index % 8 == 4) {
            *page = 1;
            madvise(page, 4096, MADV_DONTNEED);
            kind = "dropped";
        } else if (index % 8 >= 6) {
            kind = madvise(page, 4096, GUARD_INSTALL) == 0 ? "guard" : "untouched";
        }
        say("page %s %p", kind, (void *)page);
    }
    FILE *file = fopen(argv[0], "r");
    char *of_file = map(MAP_PRIVATE, fileno(file)), *shared = map(MAP_SHARED | MAP_ANONYMOUS, -1);
    sink = *of_file;
    *shared = 1;
    say("page file %p", (void *)of_file);
    say("page shared %p", (void *)shared);
    say("ready");
    hear();
    return 0;
}
