/* Park and unpark between two threads: one operation is there and back again. */
#include <pthread.h>

#include "measure.h"
#include "tinspect/sync.h"
#include "tinspect/thread.h"

static ti_thread players[2];
static long rounds;

static void *answer(void *context)
{
    for (long i = 0; i < rounds; i++) {
        ti_park();
        ti_unpark(players[0]);
    }
    return context;
}

static void round_trips(long operations)
{
    rounds = operations;
    players[0] = ti_current();
    ti_spawn((ti_scope){0}, NULL, answer, NULL, &players[1]);
    for (long i = 0; i < operations; i++) {
        ti_unpark(players[1]);
        ti_park();
    }
    ti_join(players[1], NULL, NULL);
}

static void token_there(long operations)
{
    ti_thread self = ti_current();
    for (long i = 0; i < operations; i++) {
        ti_unpark(self);
        ti_park();
    }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int turn;

static void pass_turn(int from, int to)
{
    pthread_mutex_lock(&mutex);
    while (turn != from) {
        pthread_cond_wait(&condition, &mutex);
    }
    turn = to;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
}

static void *answer_raw(void *context)
{
    for (long i = 0; i < rounds; i++) {
        pass_turn(1, 0);
    }
    return context;
}

static void raw_round_trips(long operations)
{
    rounds = operations;
    turn = 0;
    pthread_t other;
    pthread_create(&other, NULL, answer_raw, NULL);
    for (long i = 0; i < operations; i++) {
        pass_turn(0, 1);
    }
    pthread_join(other, NULL);
}

int main(void)
{
    measure("park_round_trip/tinspect", round_trips, 5000);
    measure("park_round_trip/pthread", raw_round_trips, 5000);
    measure("park_token_there/tinspect", token_there, 100000);
    return 0;
}
