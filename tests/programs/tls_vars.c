/* Thread-locals of the executable, a needed library and one loaded by dlopen (its path is the argument). Each thread
 * prints their addresses. A second thread never touches the library's dynamic block, so it has none. */
#define _GNU_SOURCE
#include "json_truth.h"

#ifndef STATIC_PROGRAM
#include <dlfcn.h>
extern __thread int needed_counter;
extern __thread char needed_buffer[100];
#endif

__thread int executable_counter = 7;
__thread long executable_numbers[4];

static pthread_barrier_t step;
static int *(*opened_counter)(void);

typedef void (*exit_function)(void *);
extern int __cxa_thread_atexit_impl(exit_function function, void *object, void *handle) __attribute__((weak));
extern char __dso_handle __attribute__((weak));
static void at_exit_first(void *object)
{
    (void)object;
}
static void at_exit_second(void *object)
{
    (void)object;
}

static void tell(int uses_library)
{
    int tid = truth_tid();
    executable_counter = tid;
    executable_numbers[2] = tid + 1;
    TRUTH("{\"kind\": \"variable\", \"tid\": %d, \"name\": \"executable_counter\", \"address\": %llu}", tid,
          truth_hex(&executable_counter));
    TRUTH("{\"kind\": \"variable\", \"tid\": %d, \"name\": \"executable_numbers\", \"address\": %llu}", tid,
          truth_hex(executable_numbers));
#ifndef STATIC_PROGRAM
    needed_counter = tid + 2;
    TRUTH("{\"kind\": \"variable\", \"tid\": %d, \"name\": \"needed_counter\", \"address\": %llu}", tid,
          truth_hex(&needed_counter));
    TRUTH("{\"kind\": \"variable\", \"tid\": %d, \"name\": \"needed_buffer\", \"address\": %llu}", tid,
          truth_hex(needed_buffer));
#endif
    if (opened_counter && uses_library) {
        *opened_counter() = tid + 3;
        TRUTH("{\"kind\": \"variable\", \"tid\": %d, \"name\": \"opened_counter\", \"address\": %llu}", tid,
              truth_hex(opened_counter()));
    } else if (opened_counter) {
        TRUTH("{\"kind\": \"untouched\", \"tid\": %d, \"name\": \"opened_counter\"}", tid);
    }
    if (__cxa_thread_atexit_impl) {
        void *objects[2] = {&executable_counter, executable_numbers};
        __cxa_thread_atexit_impl(at_exit_first, objects[0], &__dso_handle);
        __cxa_thread_atexit_impl(at_exit_second, objects[1], &__dso_handle);
        TRUTH("{\"kind\": \"exit\", \"tid\": %d, \"functions\": [%llu, %llu], \"arguments\": [%llu, %llu]}", tid,
              truth_hex((void *)at_exit_second), truth_hex((void *)at_exit_first), truth_hex(objects[1]),
              truth_hex(objects[0]));
    }
}

static void *body(void *number)
{
    pthread_barrier_wait(&step); /* main has loaded the library: threads existed before it */
    tell((int)(uintptr_t)number != 2);
    pthread_barrier_wait(&step);
    truth_sleep();
}

int main(int count, char **arguments)
{
    enum { THREADS = 3 };
    pthread_t thread;
    CHECK(pthread_barrier_init(&step, NULL, THREADS + 1));
    for (int number = 1; number <= THREADS; number++) {
        CHECK(pthread_create(&thread, NULL, body, (void *)(uintptr_t)number));
    }
#ifndef STATIC_PROGRAM
    if (count > 1) {
        void *library = dlopen(arguments[1], RTLD_NOW);
        if (!library) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        opened_counter = (int *(*)(void))dlsym(library, "opened_counter_address");
    }
#else
    (void)count, (void)arguments;
#endif
    pthread_barrier_wait(&step);
    tell(1);
    pthread_barrier_wait(&step);
    truth_ready_and_wait();
    _exit(0);
}
