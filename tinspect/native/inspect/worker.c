#define _GNU_SOURCE
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "reap.h"

#define ATTEND_NS (20 * TI_NS_PER_MS)

struct worker {
    ti_worker_job *job;
    void *context;
    atomic_bool cancelled;
    pthread_mutex_t mutex;
    pthread_cond_t done_changed;
    bool done;
    _Atomic pid_t tid; /* 0 until the thread runs: no thread has that id */
    int error;
};

static void *run(void *argument)
{
    struct worker *worker = argument;
    worker->tid = (pid_t)syscall(SYS_gettid);
    worker->error = worker->job(worker->context, &worker->cancelled);
    pthread_mutex_lock(&worker->mutex);
    worker->done = true;
    pthread_cond_signal(&worker->done_changed);
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

/* The worker takes no signals: a handler of the caller's must not run while the target stands still. */
static int start(struct worker *worker, pthread_t *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static bool wait_done(struct worker *worker)
{
    uint64_t until_ns = ti_now_ns() + ATTEND_NS;
    struct timespec until = {(time_t)(until_ns / 1000000000ULL), (long)(until_ns % 1000000000ULL)};
    pthread_mutex_lock(&worker->mutex);
    int error = 0;
    while (!worker->done && error == 0) {
        error = pthread_cond_timedwait(&worker->done_changed, &worker->mutex, &until);
    }
    bool done = worker->done;
    pthread_mutex_unlock(&worker->mutex);
    return done;
}

/*
 * pthread_join returns when the kernel has cleared the thread's id, a little before it lets go of the tracees that are
 * left (do_exit: exit_mm comes before exit_notify). After the latter the thread's id is gone, so wait for that: then
 * the next stop cannot be refused by our own remains.
 */
static void wait_gone(pid_t tid)
{
    for (unsigned tries = 0; tries < 100000 && syscall(SYS_tgkill, getpid(), tid, 0) == 0; tries++) {
        ti_sleep_ns(10 * TI_NS_PER_US);
    }
}

int ti_worker_run(pid_t target, ti_worker_job *job, void *job_context, ti_worker_attend *attend, void *attend_context)
{
    struct worker worker = {.job = job, .context = job_context, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_condattr_t monotonic;
    pthread_t thread;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&worker.done_changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int error = start(&worker, &thread);
    if (!error) {
        while (!wait_done(&worker)) {
            if (ti_reap_is_due(worker.tid)) {
                ti_reap_ended(target);
            }
            if (attend(attend_context) != 0) {
                atomic_store_explicit(&worker.cancelled, true, memory_order_relaxed);
            }
        }
        pthread_join(thread, NULL);
        wait_gone(worker.tid);
        error = atomic_load(&worker.cancelled) ? ECANCELED : worker.error;
    }
    pthread_cond_destroy(&worker.done_changed);
    return error;
}
