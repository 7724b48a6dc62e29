/* Stack overflow: reported by name, then SIGABRT; everything else is left alone. */
/* not under tsan: nothing in it runs concurrently, and its runtime wants the signals for itself */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "bodies.h"
#include "processes.h"

__attribute__((noinline)) static size_t recurse(size_t depth)
{
    volatile char room[512];
    room[0] = (char)depth;
    return depth == SIZE_MAX ? 0 : recurse(depth + 1) + (size_t)room[0];
}

static void *overflow(void *context)
{
    (void)context;
    return (void *)recurse(0);
}

static void spawn_named(const char *name, ti_thread_function function, void *context)
{
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = name;
    options.stack_size = 128 * 1024;
    CHECK_EQUAL(ti_overflow_install(), TI_OK);
    CHECK_EQUAL(ti_spawn(none, &options, function, context, &thread), TI_OK);
    ti_join(thread, NULL, NULL);
}

#define LONG_NAME "the thread that eats its stack and has a name longer than any buffer of the registry would like"

static void overflow_in_a_thread(void)
{
    spawn_named(LONG_NAME, overflow, NULL);
}

static void a_thread_that_overflows_is_named(void)
{
    char words[2048];
    int status = outcome_of(overflow_in_a_thread, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "thread '" LONG_NAME "' (id ") != NULL);
    CHECK(strstr(words, ") has overflowed its stack: address 0x") != NULL);
    CHECK(strstr(words, " bytes past its end, 0x") != NULL);
}

static void overflow_in_main(void)
{
    struct rlimit limit = {512 * 1024, RLIM_INFINITY};
    setrlimit(RLIMIT_STACK, &limit);
    CHECK_EQUAL(ti_overflow_install(), TI_OK);
    recurse(0);
}

static void the_main_thread_that_overflows_is_named(void)
{
    char words[2048];
    int status = outcome_of(overflow_in_main, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "thread 'main' (id ") != NULL);
    CHECK(strstr(words, "has overflowed its stack") != NULL);
}

static pthread_key_t key;
static void overflow_in_destructor(void *value)
{
    (void)value;
    recurse(0);
}

static void *leave_destructor(void *context)
{
    pthread_setspecific(key, &key);
    return context;
}

static void overflow_in_a_destructor(void)
{
    CHECK_EQUAL(pthread_key_create(&key, overflow_in_destructor), 0);
    spawn_named("destroyer", leave_destructor, NULL);
}

static void an_overflow_in_a_destructor_is_named(void)
{
    char words[2048];
    int status = outcome_of(overflow_in_a_destructor, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "thread 'destroyer' (id ") != NULL);
}

static void *overflow_body(ti_scope scope, void *context)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = "scoped";
    CHECK_EQUAL(ti_spawn(scope, &options, overflow, context, NULL), TI_OK);
    return NULL;
}

static void overflow_in_a_scope(void)
{
    CHECK_EQUAL(ti_overflow_install(), TI_OK);
    ti_scope_run("overflows", 0, overflow_body, NULL, NULL, NULL);
}

static void stack_overflow_crash(void)
{
    char words[2048];
    int status = outcome_of(overflow_in_a_scope, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "thread 'scoped'") != NULL);
}

static void *fault(void *context)
{
    *(volatile char *)context = 1;
    return NULL;
}

static void fault_elsewhere(void)
{
    spawn_named("stray", fault, mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void a_fault_elsewhere_is_a_plain_sigsegv(void)
{
    char words[2048];
    int status = outcome_of(fault_elsewhere, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(strstr(words, "overflow") == NULL);
}

static void *stay(void *context)
{
    (void)context;
    for (;;) {
        ti_sleep(1000, 0);
    }
    return NULL;
}

static void fault_in_anothers_guard(void)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, stay, NULL, &thread), TI_OK);
    ti_thread_info info = {.size = sizeof info};
    do {
        CHECK_EQUAL(ti_thread_describe(thread, &info), TI_OK);
    } while (info.guard_high == 0);
    spawn_named("vandal", fault, (void *)(uintptr_t)(info.guard_high - 8));
}

static void a_fault_in_anothers_guard_is_no_overflow(void)
{
    char words[2048];
    int status = outcome_of(fault_in_anothers_guard, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(strstr(words, "overflow") == NULL);
}

static void send_signal(void)
{
    CHECK_EQUAL(ti_overflow_install(), TI_OK);
    raise(SIGSEGV);
}

static void a_sent_sigsegv_still_kills(void)
{
    char words[2048];
    int status = outcome_of(send_signal, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void foreign(int number)
{
    (void)number;
    static const char words[] = "the foreign handler ran\n";
    CHECK(write(STDERR_FILENO, words, sizeof words - 1) > 0);
    _exit(7);
}

static void with_foreign_handler(void)
{
    struct sigaction action = {.sa_handler = foreign, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    CHECK_EQUAL(ti_overflow_install(), TI_EBUSY);
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, overflow, NULL, &thread), TI_OK);
    ti_join(thread, NULL, NULL);
}

static void a_foreign_handler_is_left_alone(void)
{
    char words[2048];
    int status = outcome_of(with_foreign_handler, words, sizeof words);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(strcmp(words, "the foreign handler ran\n") == 0);
}

static void nothing_is_installed_unasked(void)
{
    ti_thread thread;
    struct sigaction action;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(sigaction(SIGSEGV, NULL, &action), 0);
    CHECK(action.sa_handler == SIG_DFL);
}

/* A detached thread's slot may wait in limbo until its tid is in use again. */
static void *overflow_with_a_tid_seen_before(void *context)
{
    struct ti_thread_record *old = context;
    ti_set(old->tid, (uint32_t)syscall(SYS_gettid));
    return overflow(NULL);
}

static void overflow_beside_limbo(void)
{
    struct ti_slot *old = ti_slot_take(TI_KIND_THREAD);
    ti_set(((struct ti_thread_record *)old)->state, TI_STATE_IN_DESTRUCTORS);
    ti_record_end(old);
    spawn_named("newcomer", overflow_with_a_tid_seen_before, old);
}

static void a_tid_seen_before_does_not_confuse(void)
{
    char words[2048];
    int status = outcome_of(overflow_beside_limbo, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "thread 'newcomer'") != NULL);
}

static void *fault_below_the_guard(void *context)
{
    ti_thread_info info = {.size = sizeof info};
    CHECK_EQUAL(ti_thread_describe(ti_current(), &info), TI_OK);
    char *page = (char *)(uintptr_t)info.guard_low - 4096;
    pid_t child = fork();
    if (child == 0) {
        munmap(page, 4096); /* whatever is there: this process does nothing more */
        fault(page);
    }
    CHECK_EQUAL(waitpid(child, context, 0), child);
    return NULL;
}

/* The child's main thread is on a stack with a guard: there is no kernel's gap below. */
static void a_stray_fault_of_a_forked_thread_is_no_overflow(void)
{
    int status = 0;
    spawn_named("forks", fault_below_the_guard, &status);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void *overflow_while_cancelled(void *context)
{
    pthread_cancel(pthread_self());
    return overflow(context);
}

static void overflow_cancelled(void)
{
    spawn_named("cancelled", overflow_while_cancelled, NULL);
}

static void a_cancelled_thread_that_overflows_is_named(void)
{
    char words[2048];
    int status = outcome_of(overflow_cancelled, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "thread 'cancelled'") != NULL);
}

static char own_stack[65536];
static void an_alternate_stack_of_ones_own_stays(void)
{
    stack_t mine = {.ss_sp = own_stack, .ss_size = sizeof own_stack};
    stack_t seen;
    CHECK_EQUAL(sigaltstack(&mine, NULL), 0);
    CHECK_EQUAL(ti_overflow_install(), TI_OK);
    CHECK_EQUAL(sigaltstack(NULL, &seen), 0);
    CHECK(seen.ss_sp == own_stack);
}

TEST_MAIN(TEST(a_thread_that_overflows_is_named), TEST(the_main_thread_that_overflows_is_named),
          TEST(an_overflow_in_a_destructor_is_named), TEST(stack_overflow_crash),
          TEST(a_fault_elsewhere_is_a_plain_sigsegv), TEST(a_fault_in_anothers_guard_is_no_overflow),
          TEST(a_sent_sigsegv_still_kills), TEST(a_foreign_handler_is_left_alone), TEST(nothing_is_installed_unasked),
          TEST(a_tid_seen_before_does_not_confuse), TEST(a_cancelled_thread_that_overflows_is_named),
          TEST(a_stray_fault_of_a_forked_thread_is_no_overflow), TEST(an_alternate_stack_of_ones_own_stays))
