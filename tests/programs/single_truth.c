/* A program with one thread that uses nothing of pthreads: before glibc 2.34 it does not even load libpthread. */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char byte = 0;
    printf("{\"kind\": \"main\", \"local\": %llu}\n{\"kind\": \"ready\"}\n", (unsigned long long)(uintptr_t)&byte);
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}
