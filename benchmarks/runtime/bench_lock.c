/* Lock and unlock: alone, and between two threads. */
#include <pthread.h>

#include "measure.h"
#include "tinspect/sync.h"

static ti_mutex mutex = TI_MUTEX_INIT;
static ti_rwlock rwlock = TI_RWLOCK_INIT;
static ti_reentrant reentrant = TI_REENTRANT_INIT;
static pthread_mutex_t raw = PTHREAD_MUTEX_INITIALIZER;
static volatile long shared;

static void lock_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        ti_lock(&mutex);
        shared++;
        ti_unlock(&mutex);
    }
}

static void raw_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        pthread_mutex_lock(&raw);
        shared++;
        pthread_mutex_unlock(&raw);
    }
}

static void read_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        ti_rwlock_read(&rwlock);
        ti_rwlock_read_unlock(&rwlock);
    }
}

static void write_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        ti_rwlock_write(&rwlock);
        shared++;
        ti_rwlock_write_unlock(&rwlock);
    }
}

static void reentrant_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        ti_reentrant_lock(&reentrant);
        shared++;
        ti_reentrant_unlock(&reentrant);
    }
}

static void (*shared_loop)(long operations);
static long half;

static void *run_half(void *context)
{
    shared_loop(half);
    return context;
}

static void in_two_threads(long operations)
{
    half = operations / 2;
    pthread_t other;
    pthread_create(&other, NULL, run_half, NULL);
    run_half(NULL);
    pthread_join(other, NULL);
}

/* glibc leaves out the atomic instructions while a process has one thread; a second, idle one makes it fair. */
static void *idle(void *context)
{
    pthread_mutex_lock(context);
    pthread_mutex_unlock(context);
    return NULL;
}

int main(void)
{
    pthread_mutex_t running = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&running);
    pthread_t second;
    pthread_create(&second, NULL, idle, &running);
    enum {
        ALONE = 200000,
        CONTENDED = 100000,
    };
    measure("lock_uncontended/tinspect", lock_loop, ALONE);
    measure("lock_uncontended/pthread", raw_loop, ALONE);
    measure("rwlock_read_uncontended/tinspect", read_loop, ALONE);
    measure("rwlock_write_uncontended/tinspect", write_loop, ALONE);
    measure("reentrant_uncontended/tinspect", reentrant_loop, ALONE);
    shared_loop = lock_loop;
    measure("lock_contended/tinspect", in_two_threads, CONTENDED);
    shared_loop = raw_loop;
    measure("lock_contended/pthread", in_two_threads, CONTENDED);
    pthread_mutex_unlock(&running);
    pthread_join(second, NULL);
    return 0;
}
