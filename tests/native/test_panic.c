/* Panics: payloads, cleanups, and what must abort. */
#include <pthread.h>

#include "bodies.h"
#include "processes.h"

static void panic_with(void *context)
{
    ti_panic("%s", (const char *)context);
}

static void *panic_with_words(void *context)
{
    panic_with(context);
    return NULL;
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

TEST_MAIN(TEST(join_panic), TEST(panic_payload_is_dropped_or_taken), TEST(panic_resume_unwind),
          TEST(panics_run_cleanups), TEST(panicking_is_true_while_unwinding), TEST(panic_while_unwinding_aborts),
          TEST(a_result_whose_destructor_panics_aborts), TEST(panic_outside_aborts))
