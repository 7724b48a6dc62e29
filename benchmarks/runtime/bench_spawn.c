/* Spawning and joining: one thread, scopes of one and of eight. Raw pthreads and the runtime, one a process: the first
 * to run leaves its stacks in glibc's cache for the second. */
#include <pthread.h>
#include <string.h>

#include "measure.h"
#include "tinspect/runtime.h"

static void *nothing(void *context)
{
    return context;
}

static uint32_t flags;

static void ours_one(long operations)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.flags = flags;
    for (long i = 0; i < operations; i++) {
        ti_thread thread;
        ti_spawn((ti_scope){0}, &options, nothing, NULL, &thread);
        ti_join(thread, NULL, NULL);
    }
}

static void *spawn_children(ti_scope scope, void *context)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.flags = flags;
    for (long i = 0; i < *(long *)context; i++) {
        ti_spawn(scope, &options, nothing, NULL, NULL);
    }
    return NULL;
}

static void ours_scope(long operations, long children)
{
    for (long i = 0; i < operations; i++) {
        ti_scope_run(NULL, 0, spawn_children, &children, NULL, NULL);
    }
}

static void ours_scope_1(long operations)
{
    ours_scope(operations, 1);
}

static void ours_scope_8(long operations)
{
    ours_scope(operations, 8);
}

/* As large as the runtime's stacks, so that both pay the same for memory. */
static pthread_attr_t attributes;

static void raw_many(long operations, int children)
{
    pthread_t threads[8];
    for (long i = 0; i < operations; i++) {
        for (int child = 0; child < children; child++) {
            pthread_create(&threads[child], &attributes, nothing, NULL);
        }
        for (int child = 0; child < children; child++) {
            pthread_join(threads[child], NULL);
        }
    }
}

static void raw_1(long operations)
{
    raw_many(operations, 1);
}

static void raw_8(long operations)
{
    raw_many(operations, 8);
}

int main(int argc, char **argv)
{
    const char *which = argc > 1 ? argv[1] : "tinspect";
    if (strcmp(which, "pthread") == 0) {
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 2 << 20);
        measure("spawn_join/pthread", raw_1, 5000);
        measure("scope_1/pthread", raw_1, 5000);
        measure("scope_8/pthread", raw_8, 1000);
    } else if (strcmp(which, "tinspect-no-altstack") == 0) {
        flags = TI_SPAWN_NO_ALTSTACK;
        measure("spawn_join/tinspect-no-altstack", ours_one, 5000);
        measure("scope_1/tinspect-no-altstack", ours_scope_1, 5000);
        measure("scope_8/tinspect-no-altstack", ours_scope_8, 1000);
    } else {
        measure("spawn_join/tinspect", ours_one, 5000);
        measure("scope_1/tinspect", ours_scope_1, 5000);
        measure("scope_8/tinspect", ours_scope_8, 1000);
    }
    return 0;
}
