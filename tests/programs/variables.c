// Says where its variables lie: "local FUNCTION NAME ADDRESS SIZE", "tls NAME ADDRESS SIZE", "global NAME ADDRESS
// SIZE", "pointer THREAD_POINTER"; then "ready", and waits in pause at the end of a few calls.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum colour { RED, GREEN = 5, BLUE = -2 };
struct point {
    int x, y;
    const char *label;
    unsigned flags : 3, rest : 5;
};

static __thread int count = 42;
__thread char greeting[16] = "hello";
static __thread struct point corner = {.x = -1, .y = 7, .flags = 5};
static __thread enum colour shade = GREEN;
__thread double ratio = 1.5;
static __thread const int *pointing;
static __thread long zeroed[3];

int global_number = 17;
struct point global_corner = {.x = 2, .y = 3};

static void *volatile kept[64];
static int kept_count;
static void keep(void *address)
{
    kept[kept_count++ % 64] = address;
}

#define LOCAL(function, variable)                                                                                      \
    do {                                                                                                               \
        keep((void *)&(variable));                                                                                     \
        printf("local %s %s %lx %zu\n", function, #variable, (unsigned long)&(variable), sizeof(variable));            \
    } while (0)
#define PLACE(kind, variable) printf(kind " %s %lx %zu\n", #variable, (unsigned long)&(variable), sizeof(variable))

static __attribute__((noinline)) void stand_still(void)
{
    puts("ready");
    fflush(stdout);
    for (;;) {
        pause();
    }
}

static __attribute__((noinline)) int inner(int parameter, const char *text)
{
    int number = parameter * 2;
    struct point here = {.x = number, .y = 9, .label = text};
    long table[5] = {1, 2, 3, 4, parameter};
    LOCAL("inner", parameter);
    LOCAL("inner", number);
    LOCAL("inner", here);
    LOCAL("inner", table);
    {
        char block[24];
        snprintf(block, sizeof block, "%d", parameter);
        LOCAL("inner", block);
        stand_still();
    }
    return number + here.x + (int)table[4];
}

static __attribute__((noinline)) int outer(double value)
{
    double square = value * value;
    int seven = 7;
    LOCAL("outer", square);
    LOCAL("outer", seven);
    int result = inner((int)square, "here");
    return result + (int)square + seven;
}

int main(void)
{
    int status = 3;
    pointing = &global_number;
    zeroed[1] = 9;
    LOCAL("main", status);
    PLACE("tls", count);
    PLACE("tls", greeting);
    PLACE("tls", corner);
    PLACE("tls", shade);
    PLACE("tls", ratio);
    PLACE("tls", pointing);
    PLACE("tls", zeroed);
    PLACE("global", global_number);
    PLACE("global", global_corner);
    printf("pointer %#lx\n", (unsigned long)__builtin_thread_pointer());
    return outer(4.0) + status;
}
