/* Reading a thread-local value. */
#include <pthread.h>

#include "measure.h"
#include "tinspect/local.h"

static void make(void *value)
{
    *(long *)value = 1;
}

static void drop(void *value)
{
    (void)value;
}

TI_LOCAL(long, constant, TI_CONST(1), NULL);
TI_LOCAL(long, lazy, TI_LAZY(make), drop);
static __thread long bare;
static ti_key key = TI_KEY_INIT("bench", NULL);
static pthread_key_t raw;
static long target;

/* Keeps the loop from being folded away. */
#define KEEP(value) __asm__ volatile("" ::"r"(value) : "memory")

static void constant_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        KEEP(*constant_get());
    }
}

static void lazy_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        KEEP(*lazy_get());
    }
}

static void bare_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        KEEP(bare);
    }
}

static void key_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        KEEP(*(long *)ti_key_get(&key));
    }
}

static void raw_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        KEEP(*(long *)pthread_getspecific(raw));
    }
}

int main(void)
{
    enum {
        OPERATIONS = 1000000,
    };
    pthread_key_create(&raw, NULL);
    pthread_setspecific(raw, &target);
    ti_key_set(&key, &target);
    measure("local_get/tinspect", lazy_loop, OPERATIONS);
    measure("local_get_constant/tinspect", constant_loop, OPERATIONS);
    measure("local_get/compiler", bare_loop, OPERATIONS);
    measure("local_get/pthread", raw_loop, OPERATIONS);
    measure("key_get/tinspect", key_loop, OPERATIONS);
    return 0;
}
