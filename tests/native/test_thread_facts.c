/* What a thread knows of itself: names, ids, bounds; and what it costs. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "arena.h"
#include "bodies.h"
#include "internal.h"
#include "processes.h"

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
    do {
        ti_thread next;
        CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &next), TI_OK);
        CHECK_EQUAL(ti_join(next, NULL, NULL), TI_OK);
    } while (ti_unpark(seen[0]) != TI_ESTALE);
}

static void look_at_own_record(void *value)
{
    struct ti_thread_record *record = ti_thread_find(ti_current());
    CHECK_EQUAL(ti_get(record->state), TI_STATE_IN_DESTRUCTORS);
    CHECK_EQUAL(ti_get(record->wait_kind), TI_WAIT_NONE);
    *(bool *)value = true;
}

static pthread_key_t late_key;
static void *sleep_and_look(void *looked)
{
    pthread_setspecific(late_key, looked);
    ti_sleep(UINT64_MAX, 0);
    return NULL;
}

static void a_cancelled_foreign_thread_waits_for_nothing(void)
{
    bool looked = false;
    pthread_t thread;
    CHECK_EQUAL(pthread_key_create(&late_key, look_at_own_record), 0);
    CHECK_EQUAL(pthread_create(&thread, NULL, sleep_and_look, &looked), 0);
    pthread_cancel(thread);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK(looked);
}

static void *use_much_while_cancelled(void *context)
{
    ti_mutex locks[100];
    pthread_cancel(pthread_self());
    ti_current();
    for (int i = 0; i < 100; i++) { /* more than the first mapping has room for */
        CHECK_EQUAL(ti_mutex_init(&locks[i], "named"), TI_OK);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(ti_mutex_destroy(&locks[i]), TI_OK);
    }
    CHECK(ti_available_parallelism() > 0);
    *(bool *)context = true;
    return NULL;
}

/* A thread that ended in there would leave the registry locked for ever. */
static void the_registry_is_no_cancellation_point(void)
{
    bool done = false;
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, use_much_while_cancelled, &done), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK(done);
}

static void spawn_the_last_id(void)
{
    ti_thread thread;
    ti_current();
    ti_set(ti_registry()->born[TI_KIND_THREAD], UINT64_MAX - 1);
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    ti_spawn(none, NULL, nothing, NULL, &thread);
}

static void running_out_of_ids_is_fatal(void)
{
    char words[512];
    int status = outcome_of(spawn_the_last_id, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "ids are exhausted") != NULL);
}

static void *look_at_own_alternate_stack(void *context)
{
    stack_t seen;
    CHECK_EQUAL(sigaltstack(NULL, &seen), 0);
    struct ti_thread_record *record = ti_thread_find(ti_current());
    CHECK_EQUAL(ti_get(record->altstack_low), (uintptr_t)seen.ss_sp);
    CHECK_EQUAL(ti_get(record->altstack_high), (uintptr_t)seen.ss_sp + seen.ss_size);
    CHECK(seen.ss_size >= getauxval(AT_MINSIGSTKSZ) + 32 * 1024);
    /* A page that nobody may touch lies right below: the kernel refuses to read from it, and not from the page above.
     */
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    CHECK_EQUAL(ti_get(record->altstack_guard_low), (uintptr_t)seen.ss_sp - (size_t)sysconf(_SC_PAGESIZE));
    CHECK_EQUAL(write(ends[1], (char *)seen.ss_sp - 1, 1), -1);
    CHECK_EQUAL(errno, EFAULT);
    CHECK_EQUAL(write(ends[1], seen.ss_sp, 1), 1);
    return context;
}

static void each_alternate_stack_has_its_own_guard(void)
{
    ti_thread threads[12]; /* more than are mapped at once */
    for (int i = 0; i < 12; i++) {
        CHECK_EQUAL(ti_spawn(none, NULL, look_at_own_alternate_stack, NULL, &threads[i]), TI_OK);
    }
    for (int i = 0; i < 12; i++) {
        CHECK_EQUAL(ti_join(threads[i], NULL, NULL), TI_OK);
    }
}

static void lock_without_descriptors(void)
{
    struct rlimit no_files = {0, 0};
    ti_mutex mutex = TI_MUTEX_INIT;
    setrlimit(RLIMIT_NOFILE, &no_files); /* the registry does without its memfd then */
    errno = 0;
    CHECK_EQUAL(ti_lock(&mutex), TI_OK);
    CHECK_EQUAL(errno, 0);
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
}

static void a_threads_first_call_keeps_errno(void)
{
    char words[512];
    int status = outcome_of(lock_without_descriptors, words, sizeof words);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_MAIN(TEST(unnamed_thread), TEST(named_thread), TEST(named_thread_truncation), TEST(long_names_are_kept_whole),
          TEST(invalid_named_thread), TEST(name_is_cut_at_a_character_for_small_buffers), TEST(thread_ids_are_unique),
          TEST(described_bounds_are_the_systems), TEST(minimal_thread_stack), TEST(min_stack_from_the_environment),
          TEST(sleep_survives_signals), TEST(sleep_very_long), TEST(available_parallelism_honours_affinity),
          TEST(foreign_threads_are_adopted), TEST(a_cancelled_foreign_thread_waits_for_nothing),
          TEST(the_registry_is_no_cancellation_point), TEST(a_threads_first_call_keeps_errno),
          TEST(running_out_of_ids_is_fatal), TEST(each_alternate_stack_has_its_own_guard),
          TEST(current_park_and_unpark_never_allocate))
