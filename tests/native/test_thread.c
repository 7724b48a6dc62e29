/* Threads: what Rust's std::thread tests pin. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "tinspect/runtime.h"

static const ti_scope none = {0};

static void *answer(void *context)
{
    *(int *)context = 42;
    return context;
}

static void *nothing(void *context)
{
    return context;
}

static void run_basic(void)
{
    int value = 0;
    ti_thread thread;
    void *result = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, answer, &value, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    CHECK(result == &value && value == 42);
}

static void *copy_name(void *context)
{
    CHECK_EQUAL(ti_thread_name(ti_current(), context, 256, NULL), TI_OK);
    return NULL;
}

static void unnamed_thread(void)
{
    char name[256] = "something";
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, copy_name, name, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK(name[0] == 0);
}

static void named_thread(void)
{
    char name[256] = "";
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = "ada lovelace";
    CHECK_EQUAL(ti_spawn(none, &options, copy_name, name, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK(strcmp(name, "ada lovelace") == 0);
}

struct both_names {
    char full[256];
    char system[16];
    size_t length;
};

static void *copy_both_names(void *context)
{
    struct both_names *names = context;
    CHECK_EQUAL(ti_thread_name(ti_current(), names->full, sizeof names->full, &names->length), TI_OK);
    prctl(PR_GET_NAME, names->system, 0, 0, 0);
    return NULL;
}

static void named_thread_truncation(void)
{
    /* 14 bytes, then a character of three bytes: the system's name ends before it. */
    struct both_names names = {0};
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = "fourteen bytes\xe2\x82\xac and more";
    CHECK_EQUAL(ti_spawn(none, &options, copy_both_names, &names, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK(strcmp(names.full, options.name) == 0);
    CHECK(strcmp(names.system, "fourteen bytes") == 0);
}

static void long_names_are_kept_whole(void)
{
    char name[201];
    memset(name, 'x', 200);
    name[200] = 0;
    for (int round = 0; round < 3; round++) {
        struct both_names names = {0};
        ti_thread thread;
        ti_spawn_options options = TI_SPAWN_OPTIONS;
        options.name = name + 40 * round;
        CHECK_EQUAL(ti_spawn(none, &options, copy_both_names, &names, &thread), TI_OK);
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
        CHECK(strcmp(names.full, options.name) == 0);
        CHECK_EQUAL(names.length, strlen(options.name));
    }
}

static void invalid_named_thread(void)
{
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = "ada l\0velace";
    options.name_length = 12;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, &thread), TI_EINVAL);
}

static void name_is_cut_at_a_character_for_small_buffers(void)
{
    char name[8];
    size_t length = 0;
    CHECK_EQUAL(ti_set_thread_name("abcde\xe2\x82\xac", 0), TI_OK);
    CHECK_EQUAL(ti_thread_name(ti_current(), name, sizeof name, &length), TI_OK);
    CHECK(strcmp(name, "abcde") == 0);
    CHECK_EQUAL(length, 8);
}

static void *wait_for_flag(void *context)
{
    while (atomic_load((_Atomic int *)context) == 0) {
        ti_park();
    }
    return NULL;
}

static void is_finished(void)
{
    _Atomic int flag = 0;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, wait_for_flag, &flag, &thread), TI_OK);
    CHECK(!ti_is_finished(thread));
    atomic_store(&flag, 1);
    CHECK_EQUAL(ti_unpark(thread), TI_OK);
    while (!ti_is_finished(thread)) {
        ti_yield();
    }
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK(ti_is_finished(thread));
}

static void panic_with(void *context)
{
    ti_panic("%s", (const char *)context);
}

static void *panic_with_words(void *context)
{
    panic_with(context);
    return NULL;
}

static void quiet(const ti_panic_view *view)
{
    (void)view;
}

static void join_panic(void)
{
    ti_set_panic_hook(quiet);
    ti_thread thread;
    ti_panics *panics = NULL;
    ti_panic_view view;
    CHECK_EQUAL(ti_spawn(none, NULL, panic_with_words, "static string", &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_count(panics), 1);
    CHECK_EQUAL(ti_panics_at(panics, 0, &view), TI_OK);
    CHECK(strcmp(view.message, "static string") == 0);
    CHECK(strcmp(view.payload, "static string") == 0);
    CHECK_EQUAL(view.thread_id, thread.id);
    CHECK_EQUAL(ti_panics_at(panics, 1, &view), TI_EINVAL);
    ti_panics_free(panics);
}

static int dropped;
static void count_drop(void *value)
{
    dropped += *(int *)value;
}

static void *panic_with_payload(void *context)
{
    ti_panic_with(context, count_drop, "a box");
}

static void panic_payload_is_dropped_or_taken(void)
{
    ti_set_panic_hook(quiet);
    int payload = 5;
    ti_thread thread;
    ti_panics *panics = NULL;
    void *taken = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, panic_with_payload, &payload, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_EPANIC);
    CHECK_EQUAL(dropped, 5);
    CHECK_EQUAL(ti_spawn(none, NULL, panic_with_payload, &payload, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_take(panics, 0, &taken), TI_OK);
    CHECK(taken == &payload);
    ti_panics_free(panics);
    CHECK_EQUAL(dropped, 5);
}

static void *panic_and_resume(void *context)
{
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_catch(panic_with, context, &panics), TI_EPANIC);
    CHECK(!ti_panicking());
    ti_panics_resume(panics);
}

static void panic_resume_unwind(void)
{
    ti_set_panic_hook(quiet);
    ti_thread thread;
    ti_panics *panics = NULL;
    ti_panic_view view;
    CHECK_EQUAL(ti_spawn(none, NULL, panic_and_resume, "again", &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_at(panics, 0, &view), TI_OK);
    CHECK(strcmp(view.message, "again") == 0);
    ti_panics_free(panics);
}

static void *spawn_chain(void *context)
{
    intptr_t depth = (intptr_t)context;
    if (depth == 0) {
        return (void *)1;
    }
    ti_thread thread;
    void *result = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, spawn_chain, (void *)(depth - 1), &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    return (void *)((intptr_t)result + 1);
}

static void spawn_children_of_children(void)
{
    CHECK((intptr_t)spawn_chain((void *)15) == 16);
}

static _Atomic int ended;
static void *count_end(void *context)
{
    (void)context;
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void detached_threads_run_on(void)
{
    for (int i = 0; i < 50; i++) {
        ti_thread thread;
        CHECK_EQUAL(ti_spawn(none, NULL, count_end, NULL, i % 2 ? &thread : NULL), TI_OK);
        if (i % 2) {
            CHECK_EQUAL(ti_detach(thread), TI_OK);
            CHECK_EQUAL(ti_detach(thread), TI_ESTALE);
            CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ESTALE);
        }
    }
    while (atomic_load(&ended) != 50) {
        ti_yield();
    }
}

static void *result_of_five(void *context)
{
    return context;
}

static void result_is_dropped_when_nobody_takes_it(void)
{
    int value = 5;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_result = count_drop;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, &options, result_of_five, &value, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(dropped, 5);
    CHECK_EQUAL(ti_spawn(none, &options, result_of_five, &value, &thread), TI_OK);
    while (!ti_is_finished(thread)) {
        ti_yield();
    }
    CHECK_EQUAL(ti_detach(thread), TI_OK);
    CHECK_EQUAL(dropped, 10);
}

static void *stay_for_exit(void *context)
{
    (void)context;
    pthread_exit(NULL);
}

static void *wait_for_cancel(void *context)
{
    atomic_store((_Atomic int *)context, 1);
    for (;;) {
        pause();
    }
    return NULL;
}

static _Atomic(pthread_t) cancelled_thread;
static void *wait_for_cancel_known(void *context)
{
    atomic_store(&cancelled_thread, pthread_self());
    return wait_for_cancel(context);
}

static void exit_and_cancel_are_no_panics(void)
{
    ti_thread thread;
    _Atomic int ready = 0;
    CHECK_EQUAL(ti_spawn(none, NULL, stay_for_exit, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
    CHECK_EQUAL(ti_spawn(none, NULL, wait_for_cancel_known, &ready, &thread), TI_OK);
    while (atomic_load(&ready) == 0) {
        ti_yield();
    }
    pthread_cancel(atomic_load(&cancelled_thread));
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
}

static void *join_self(void *context)
{
    (void)context;
    return (void *)(intptr_t)ti_join(ti_current(), NULL, NULL);
}

static void self_join_is_refused(void)
{
    ti_thread thread;
    void *result = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, join_self, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    CHECK_EQUAL((intptr_t)result, TI_EDEADLK);
}

static void joining_twice_is_stale(void)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ESTALE);
}

static void join_with_a_deadline_abandons_nobody(void)
{
    _Atomic int flag = 0;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, wait_for_flag, &flag, &thread), TI_OK);
    CHECK_EQUAL(ti_join_until(thread, ti_deadline_after(2000000), NULL, NULL), TI_ETIMEDOUT);
    CHECK_EQUAL(ti_join_until(thread, 0, NULL, NULL), TI_ETIMEDOUT);
    atomic_store(&flag, 1);
    CHECK_EQUAL(ti_unpark(thread), TI_OK);
    CHECK_EQUAL(ti_join_until(thread, ti_deadline_after(60000000000u), NULL, NULL), TI_OK);
}

static void *own_id(void *context)
{
    *(uint64_t *)context = ti_thread_id();
    return NULL;
}

static void thread_ids_are_unique(void)
{
    uint64_t last = ti_thread_id();
    CHECK(last != 0);
    for (int i = 0; i < 100; i++) {
        uint64_t id = 0;
        ti_thread thread;
        CHECK_EQUAL(ti_spawn(none, NULL, own_id, &id, &thread), TI_OK);
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
        CHECK(id == thread.id && id > last);
        last = id;
    }
}

static void *measure_stack(void *context)
{
    ti_thread_info *info = context;
    info->size = sizeof *info;
    CHECK_EQUAL(ti_thread_describe(ti_current(), info), TI_OK);
    pthread_attr_t attributes;
    void *low;
    size_t size;
    size_t guard;
    CHECK_EQUAL(pthread_getattr_np(pthread_self(), &attributes), 0);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_getguardsize(&attributes, &guard);
    pthread_attr_destroy(&attributes);
    CHECK(info->stack_low == (uintptr_t)low && info->stack_high == (uintptr_t)low + size);
    CHECK(info->guard_low == info->stack_low - guard && info->guard_high == info->stack_low);
    CHECK_EQUAL(info->tid, gettid());
    stack_t alternate;
    CHECK_EQUAL(sigaltstack(NULL, &alternate), 0);
    CHECK((alternate.ss_flags & SS_DISABLE) == 0);
    CHECK(info->altstack_low == (uintptr_t)alternate.ss_sp);
    CHECK(info->altstack_high == (uintptr_t)alternate.ss_sp + alternate.ss_size);
    return (void *)((uintptr_t)__builtin_frame_address(0) - (uintptr_t)info->stack_low);
}

static void described_bounds_are_the_systems(void)
{
    for (int i = 0; i < 3; i++) {
        ti_thread_info info;
        ti_thread thread;
        void *left = NULL;
        ti_spawn_options options = TI_SPAWN_OPTIONS;
        options.stack_size = 300000 * (size_t)i;
        CHECK_EQUAL(ti_spawn(none, &options, measure_stack, &info, &thread), TI_OK);
        CHECK_EQUAL(ti_join(thread, &left, NULL), TI_OK);
        CHECK((uintptr_t)left >= (i == 0 ? 2u << 20 : options.stack_size) - 2048);
        CHECK_EQUAL(ti_thread_describe(thread, &info), TI_ESTALE);
    }
}

static void minimal_thread_stack(void)
{
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.stack_size = 1;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

static void min_stack_from_the_environment(void)
{
    setenv("TINSPECT_MIN_STACK", "5242880", 1);
    ti_thread_info info;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, measure_stack, &info, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK(info.stack_high - info.stack_low >= 5242880);
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.stack_size = 65536;
    CHECK_EQUAL(ti_spawn(none, &options, measure_stack, &info, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK(info.stack_high - info.stack_low < 1048576);
}

static void creation_failure_leaves_nothing_behind(void)
{
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.stack_size = (size_t)1 << 60;
    options.drop_context = count_drop;
    int context = 1;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, &context, &thread), TI_EAGAIN);
    options.stack_size = SIZE_MAX;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, &context, &thread), TI_EOVERFLOW);
    CHECK_EQUAL(dropped, 0);
}

static void environment_is_dropped_in_the_child(void)
{
    int context = 7;
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_context = count_drop;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, &context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(dropped, 7);
    CHECK_EQUAL(ti_spawn(none, &options, stay_for_exit, &context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
    CHECK_EQUAL(dropped, 14);
}

static void *check_same_address(void *context)
{
    return context;
}

static void avoid_copying_the_body(void)
{
    int big[1000] = {0};
    ti_thread thread;
    void *seen = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, check_same_address, big, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &seen, NULL), TI_OK);
    CHECK(seen == big);
}

static void *child_after_parent(void *context)
{
    /* The parent ends first; the child's record must not lean on it. */
    ti_thread parent = *(ti_thread *)context;
    ti_thread_info info = {.size = sizeof info};
    while (ti_thread_describe(parent, &info) != TI_ESTALE) {
        ti_yield();
    }
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void *spawn_and_leave(void *context)
{
    *(ti_thread *)context = ti_current();
    CHECK_EQUAL(ti_spawn(none, NULL, child_after_parent, context, NULL), TI_OK);
    return NULL;
}

static void child_doesnt_ref_parent(void)
{
    ti_thread parent;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, spawn_and_leave, &parent, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    while (atomic_load(&ended) != 1) {
        ti_yield();
    }
}

static void types_must_be_send(void)
{
    ti_type shared = {.size = sizeof shared, .name = "shared only", .flags = TI_TYPE_SYNC};
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.context_type = &shared;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, NULL), TI_ENOTSEND);
    options.context_type = NULL;
    options.result_type = &shared;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, NULL), TI_ENOTSEND);
}

static void options_can_grow(void)
{
    struct {
        ti_spawn_options known;
        uint64_t later;
    } options = {.known = {.size = sizeof options}};
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, &options.known, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    options.later = 1;
    CHECK_EQUAL(ti_spawn(none, &options.known, nothing, NULL, &thread), TI_EINVAL);
    options.known.size = sizeof(size_t);
    CHECK_EQUAL(ti_spawn(none, &options.known, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

static _Atomic int hook_parents, hook_children, hook_discards;
static void *hook_parent(ti_thread child, void *context)
{
    CHECK(child.id != 0);
    atomic_fetch_add(&hook_parents, 1);
    return context;
}
static void hook_child(void *token, void *context)
{
    CHECK(token == context);
    atomic_fetch_add(&hook_children, 1);
}
static void hook_discard(void *token, void *context)
{
    CHECK(token == context);
    atomic_fetch_add(&hook_discards, 1);
}

static void *spawn_one_more(void *context)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    return NULL;
}

static void *host_of_hooks(void *context)
{
    ti_spawn_hook hook = {.size = sizeof hook,
                          .parent = hook_parent,
                          .child = hook_child,
                          .discard = hook_discard,
                          .context = context,
                          .drop_context = count_drop};
    CHECK_EQUAL(ti_add_spawn_hook(&hook), TI_OK);
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, spawn_one_more, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(hook_parents, 2);
    CHECK_EQUAL(hook_children, 2);
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.flags = TI_SPAWN_NO_HOOKS;
    CHECK_EQUAL(ti_spawn(none, &options, spawn_one_more, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(hook_parents, 2);
    options = (ti_spawn_options)TI_SPAWN_OPTIONS;
    options.stack_size = (size_t)1 << 60;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, &thread), TI_EAGAIN);
    CHECK_EQUAL(hook_discards, 1);
    CHECK_EQUAL(dropped, 0);
    return NULL;
}

static void spawn_hooks_are_inherited(void)
{
    int context = 1;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, host_of_hooks, &context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(dropped, 1);
}

static _Atomic int alarms;
static void on_alarm(int number)
{
    (void)number;
    atomic_fetch_add(&alarms, 1);
}

static void sleep_survives_signals(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    CHECK_EQUAL(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    uint64_t before = ti_now();
    timer_settime(timer, 0, &every, NULL);
    ti_sleep(0, 20000000);
    CHECK(ti_now() - before >= 20000000);
    timer_delete(timer);
    CHECK(atomic_load(&alarms) > 0);
}

static void *sleep_for_ever(void *context)
{
    atomic_store((_Atomic int *)context, 1);
    ti_sleep(UINT64_MAX, 999999999);
    return NULL;
}

static void sleep_very_long(void)
{
    _Atomic int ready = 0;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, sleep_for_ever, &ready, &thread), TI_OK);
    while (atomic_load(&ready) == 0) {
        ti_yield();
    }
    CHECK_EQUAL(ti_join_until(thread, ti_deadline_after(20000000), NULL, NULL), TI_ETIMEDOUT);
    CHECK(!ti_is_finished(thread));
    ti_detach(thread);
}

static void available_parallelism_honours_affinity(void)
{
    size_t all = ti_available_parallelism();
    CHECK(all >= 1);
    cpu_set_t mask;
    CHECK_EQUAL(sched_getaffinity(0, sizeof mask, &mask), 0);
    CHECK(all <= (size_t)CPU_COUNT(&mask));
    int first = 0;
    while (!CPU_ISSET(first, &mask)) {
        first++;
    }
    CPU_ZERO(&mask);
    CPU_SET(first, &mask);
    CHECK_EQUAL(sched_setaffinity(0, sizeof mask, &mask), 0);
    CHECK_EQUAL(ti_available_parallelism(), 1);
}

/* Counts what the program allocates: ours stand in front of libc's. musl gives its own no other name. */
static _Atomic long allocations;
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern void *__libc_malloc(size_t size);
void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}
#endif

static void *use_current_and_park(void *context)
{
    long before = atomic_load(&allocations);
    ti_thread self = ti_current();
    CHECK_EQUAL(ti_unpark(self), TI_OK);
    ti_park();
    CHECK_EQUAL(ti_park_until(ti_deadline_after(1000)), TI_ETIMEDOUT);
    CHECK(self.id != 0 && ti_thread_id() == self.id);
    CHECK_EQUAL(atomic_load(&allocations), before);
    return context;
}

static void current_park_and_unpark_never_allocate(void)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, use_current_and_park, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    pthread_t raw;
    CHECK_EQUAL(pthread_create(&raw, NULL, use_current_and_park, NULL), 0);
    CHECK_EQUAL(pthread_join(raw, NULL), 0);
    use_current_and_park(NULL);
}

static void *raw_thread(void *context)
{
    ti_thread self = ti_current();
    CHECK(self.id != 0);
    CHECK_EQUAL(ti_current().id, self.id);
    *(ti_thread *)context = self;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    return NULL;
}

static void foreign_threads_are_adopted(void)
{
    ti_thread seen[2];
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, raw_thread, &seen[i]), 0);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
    }
    CHECK(seen[0].id != seen[1].id);
    /* Their slots come back once the kernel has forgotten the threads, which the next spawn looks for. */
    run_basic();
    CHECK_EQUAL(ti_unpark(seen[0]), TI_ESTALE);
}

static void cleanup_seen(int *value)
{
    *value += 1;
}

static int cleanups;
__attribute__((noinline)) static void frame_with_cleanup(void)
{
    int *seen = &cleanups;
    int local __attribute__((cleanup(cleanup_seen))) = 0;
    pthread_cleanup_push(count_drop, seen);
    cleanups = 1;
    CHECK(!ti_panicking());
    ti_panic("unwind me");
    pthread_cleanup_pop(0);
}

static void call_frame(void *context)
{
    int local __attribute__((cleanup(cleanup_seen))) = 0;
    (void)context;
    frame_with_cleanup();
}

static void panics_run_cleanups(void)
{
    ti_set_panic_hook(quiet);
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_catch(call_frame, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(dropped, 1);
    ti_panics_free(panics);
}

static int panicking_seen;
static void note_panicking(int *value)
{
    (void)value;
    panicking_seen = ti_panicking();
    /* A panic that is caught inside a cleanup is fine, and leaves the outer one going. */
    CHECK_EQUAL(ti_catch(panic_with, "inner", NULL), TI_EPANIC);
    CHECK(ti_panicking());
}

static void panic_with_note(void *context)
{
    int note __attribute__((cleanup(note_panicking))) = 0;
    (void)context;
    ti_panic("outer");
}

static void panicking_is_true_while_unwinding(void)
{
    ti_set_panic_hook(quiet);
    CHECK_EQUAL(ti_catch(panic_with_note, NULL, NULL), TI_EPANIC);
    CHECK(panicking_seen);
    CHECK(!ti_panicking());
}

/* Runs `function` in a child process; its status, and what it wrote to stderr. */
static int outcome_of(void (*function)(void), char *words, size_t room)
{
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        function();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while (length + 1 < room && (got = read(ends[0], words + length, room - 1 - length)) > 0) {
        length += (size_t)got;
    }
    words[length] = 0;
    close(ends[0]);
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

static void panic_in_cleanup(int *value)
{
    (void)value;
    ti_panic("second");
}

static void panic_twice_body(void *context)
{
    int local __attribute__((cleanup(panic_in_cleanup))) = 0;
    (void)context;
    ti_panic("first");
}

static void run_panic_twice(void)
{
    ti_catch(panic_twice_body, NULL, NULL);
}

static void panic_while_unwinding_aborts(void)
{
    char words[2048];
    int status = outcome_of(run_panic_twice, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "panic while unwinding") != NULL);
}

static void panicking_drop(void *value)
{
    (void)value;
    ti_panic("in a destructor");
}

static void run_panicking_drop(void)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_result = panicking_drop;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, &thread), TI_OK);
    ti_join(thread, NULL, NULL);
}

static void a_result_whose_destructor_panics_aborts(void)
{
    char words[2048];
    int status = outcome_of(run_panicking_drop, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "the destructor of a thread's result panicked") != NULL);
}

static void run_panic_outside(void)
{
    ti_panic("nobody catches");
}

static void panic_outside_aborts(void)
{
    char words[2048];
    int status = outcome_of(run_panic_outside, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "nobody catches") != NULL);
}

static void run_join_twice_checked(void)
{
    ti_set_checked(true, NULL);
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    ti_join(thread, NULL, NULL);
}

static void checked_mode_reports_joining_twice(void)
{
    char words[2048];
    int status = outcome_of(run_join_twice_checked, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "misuse: joining a thread that was joined") != NULL);
}

TEST_MAIN(TEST(run_basic), TEST(unnamed_thread), TEST(named_thread), TEST(named_thread_truncation),
          TEST(long_names_are_kept_whole), TEST(invalid_named_thread),
          TEST(name_is_cut_at_a_character_for_small_buffers), TEST(is_finished), TEST(join_panic),
          TEST(panic_payload_is_dropped_or_taken), TEST(panic_resume_unwind), TEST(spawn_children_of_children),
          TEST(detached_threads_run_on), TEST(result_is_dropped_when_nobody_takes_it),
          TEST(exit_and_cancel_are_no_panics), TEST(self_join_is_refused), TEST(joining_twice_is_stale),
          TEST(join_with_a_deadline_abandons_nobody), TEST(thread_ids_are_unique),
          TEST(described_bounds_are_the_systems), TEST(minimal_thread_stack), TEST(min_stack_from_the_environment),
          TEST(creation_failure_leaves_nothing_behind), TEST(environment_is_dropped_in_the_child),
          TEST(avoid_copying_the_body), TEST(child_doesnt_ref_parent), TEST(types_must_be_send), TEST(options_can_grow),
          TEST(spawn_hooks_are_inherited), TEST(sleep_survives_signals), TEST(sleep_very_long),
          TEST(available_parallelism_honours_affinity), TEST(foreign_threads_are_adopted),
          TEST(current_park_and_unpark_never_allocate), TEST(panics_run_cleanups),
          TEST(panicking_is_true_while_unwinding), TEST(panic_while_unwinding_aborts),
          TEST(a_result_whose_destructor_panics_aborts), TEST(panic_outside_aborts),
          TEST(checked_mode_reports_joining_twice))
