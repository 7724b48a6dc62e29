/* When local values end: __cxa_thread_atexit_impl where the C library has it, else a guard key that runs a list. */
#include "local_end.h"
#include "internal.h"

/* glibc since 2.18; musl has none. It keeps `module` loaded until the destructor has run. */
extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *module) __attribute__((weak));

/* The guard key's value is this list's newest entry. The entries are the values' own heads: registering cannot fail for
 * want of memory. A destructor that registers more puts it in front and it is run next; one registered by some other
 * key's destructor, after the guard has run, sets the guard's value again and gets another of pthread's rounds. */
static void run_list(void *newest);
static ti_key guard = TI_KEY_INIT("tinspect local values", run_list);

static void run_list(void *newest)
{
    /* pthread has cleared the value before calling; it is kept current, since destructors read it to register. */
    for (ti_local_head *head = newest; head != NULL; head = ti_key_get(&guard)) {
        ti_key_set(&guard, head->older); /* cannot fail: this thread's slot exists */
        ti_local_end(head);
    }
}

void ti_local_at_end(ti_local_head *head, void *module)
{
    if (__cxa_thread_atexit_impl != NULL) {
        if (__cxa_thread_atexit_impl(ti_local_end, head, module) != 0) {
            ti_fatal("no memory to register the destructor of a thread-local value");
        }
        return;
    }
    head->older = ti_key_get(&guard);
    if (ti_key_set(&guard, head) != TI_OK) {
        ti_fatal("no thread-local key left for the destructors of thread-local values");
    }
}
