/* A thread that hands out its own handle before the one who creates it knows how to join it. */
#include <pthread.h>

#include "bodies.h"

/* The linker leads the runtime's call here (build.mk). It returns late, as when the creator loses the CPU. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *context);

enum {
    PATIENCE = 200, /* yields: enough for a fault to show; too few would only hide it */
};
static _Atomic bool is_slow, asked, answered;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *context)
{
    pthread_t made;
    int error = __real_pthread_create(&made, attributes, start, context);
    if (error == 0 && atomic_exchange(&is_slow, false)) {
        while (!atomic_load(&asked)) {
            ti_yield();
        }
        for (int i = 0; i < PATIENCE; i++) {
            CHECK(!atomic_load(&answered));
            ti_yield();
        }
    }
    *thread = made;
    return error;
}

static void *detach_oneself(void *context)
{
    (void)context;
    atomic_store(&asked, true);
    CHECK_EQUAL(ti_detach(ti_current()), TI_OK);
    atomic_store(&answered, true);
    return NULL;
}

static void a_thread_may_detach_itself_at_once(void)
{
    ti_thread thread;
    atomic_store(&is_slow, true);
    CHECK_EQUAL(ti_spawn(none, NULL, detach_oneself, NULL, &thread), TI_OK);
    while (!atomic_load(&answered)) {
        ti_yield();
    }
}

struct handed {
    ti_thread thread;
    _Atomic bool there;
};

static void *hand_oneself(void *context)
{
    struct handed *handed = context;
    handed->thread = ti_current();
    atomic_store(&handed->there, true);
    return context;
}

static void *join_what_is_handed(void *context)
{
    struct handed *handed = context;
    while (!atomic_load(&handed->there)) {
        ti_yield();
    }
    void *result = NULL;
    atomic_store(&asked, true);
    CHECK_EQUAL(ti_join(handed->thread, &result, NULL), TI_OK);
    CHECK(result == context);
    atomic_store(&answered, true);
    return NULL;
}

static void join_by_hand(ti_scope scope)
{
    struct handed handed = {0};
    ti_thread joiner;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, join_what_is_handed, &handed, &joiner), TI_OK);
    atomic_store(&is_slow, true);
    CHECK_EQUAL(ti_spawn(scope, NULL, hand_oneself, &handed, &thread), TI_OK);
    CHECK_EQUAL(ti_join(joiner, NULL, NULL), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ESTALE);
}

static void a_thread_may_be_joined_by_the_handle_it_gave(void)
{
    join_by_hand(none);
}

static void *join_by_hand_body(ti_scope scope, void *context)
{
    join_by_hand(scope);
    return context;
}

static void a_scoped_thread_may_be_joined_by_the_handle_it_gave(void)
{
    CHECK_EQUAL(ti_scope_run(NULL, 0, join_by_hand_body, NULL, NULL, NULL), TI_OK);
}

TEST_MAIN(TEST(a_thread_may_detach_itself_at_once), TEST(a_thread_may_be_joined_by_the_handle_it_gave),
          TEST(a_scoped_thread_may_be_joined_by_the_handle_it_gave))
