// Reading a thread_local that has a constructor and a destructor.
#include "measure.h"

#define KEEP(value) __asm__ volatile("" ::"r"(value) : "memory")

struct Dropped {
    long value;
    Dropped() : value(1)
    {
        KEEP(this);
    }
    ~Dropped()
    {
        KEEP(this);
    }
};

static thread_local Dropped lazy;

static void lazy_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        KEEP(lazy.value);
    }
}

int main()
{
    measure("local_get/c++", lazy_loop, 1000000);
}
