/*
 * Threads that share nothing across their stacks, in the ways that leave the most behind: a pool that has run jobs
 * deeper than it now sleeps, threads made one after another on each other's old stacks, and a creator that has returned
 * from deep calls.
 */
#define _GNU_SOURCE
#include "json_truth.h"

enum { POOL = 4, JOBS = 64, DEPTH = 40 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int waiting_jobs, done_jobs;

static __attribute__((noinline)) int dig(int depth)
{
    char text[96];
    int size = snprintf(text, sizeof text, "%d %p", depth, (void *)text);
    return depth > 0 ? dig(depth - 1) + size : size;
}

static void *worker(void *unused)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        while (waiting_jobs == 0) {
            pthread_cond_wait(&changed, &lock);
        }
        waiting_jobs--;
        pthread_mutex_unlock(&lock);
        dig(DEPTH);
        pthread_mutex_lock(&lock);
        done_jobs++;
        pthread_cond_broadcast(&changed);
    }
    return unused;
}

static void *short_lived(void *unused)
{
    dig(DEPTH);
    return unused;
}

static __attribute__((noinline)) void start_pool(int depth)
{
    volatile char deep[512];
    deep[0] = (char)depth;
    deep[1] = deep[0];
    if (depth > 0) {
        start_pool(depth - 1);
        return;
    }
    for (int index = 0; index < POOL; index++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, worker, NULL));
    }
}

int main(void)
{
    for (int index = 0; index < 3; index++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, short_lived, NULL));
        CHECK(pthread_join(thread, NULL));
    }
    start_pool(8);
    pthread_mutex_lock(&lock);
    waiting_jobs = JOBS;
    pthread_cond_broadcast(&changed);
    while (done_jobs < JOBS) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    dig(DEPTH / 2);
    truth_ready_and_wait();
    return 0;
}
