/* Installs a guard page (madvise 102) in the middle of a mapping it has written to; says "guard MAPPING PAGES GUARD" or
   "unsupported", then "ready"; ends with stdin. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
    enum { PAGES = 16, GUARDED = 5, PAGE = 4096 };
    char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return 3;
    }
    memset(memory, 'x', PAGES * PAGE);
    if (madvise(memory + GUARDED * PAGE, PAGE, 102)) {
        printf("unsupported\n");
    } else {
        printf("guard %p %d %d\n", (void *)memory, PAGES, GUARDED);
    }
    printf("ready\n");
    fflush(stdout);
    return getchar() == 'x';
}
