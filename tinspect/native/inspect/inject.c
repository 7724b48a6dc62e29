#define _GNU_SOURCE
#include "inject.h"

#include <errno.h>

#ifndef __x86_64__
int ti_inject_run(struct ti_inject *inject, const atomic_bool *cancelled)
{
    (void)inject;
    (void)cancelled;
    return ENOSYS;
}
#else

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "clock.h"
#include "inject_turn.h"
#include "stop.h"

enum {
    BATCH = 128, /* threads that stand still together: some milliseconds */
    ROUNDS = 4,  /* tries for a thread that was at a bad place */
    YIELDS = 20,
};
#define PATIENCE_NS (500 * TI_NS_PER_MS)
#define LONGEST_NAP_NS (500 * TI_NS_PER_US)

struct run {
    struct ti_inject *inject;
    const atomic_bool *cancelled;
    bool late; /* a thread is still on its detour: this tracer must end, and begins nothing more */
    struct ti_turn_tools tools;
    struct ti_turn turns[BATCH];
};

/* Moves every turn on that can be; false when nothing happened. Counts those that are not over. */
static bool advance_all(struct run *run, size_t count, size_t *pending)
{
    bool progress = false;
    *pending = 0;
    for (size_t index = 0; index < count; index++) {
        struct ti_turn *turn = &run->turns[index];
        if (turn->stage != TI_TURN_OVER) {
            progress |= ti_turn_advance(turn, &run->tools);
            *pending += turn->stage != TI_TURN_OVER;
        }
    }
    return progress;
}

/* All are sent off before any is waited for: on a busy machine they come to run together. */
static void answer_batch(struct run *run, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        ti_turn_begin(&run->turns[index], &run->tools);
    }
    uint64_t progress_ns = ti_now_ns(), nap_ns = 20 * TI_NS_PER_US;
    unsigned idle = 0;
    size_t pending;
    for (bool progress = advance_all(run, count, &pending); pending; progress = advance_all(run, count, &pending)) {
        if (progress) {
            progress_ns = ti_now_ns();
            nap_ns = 20 * TI_NS_PER_US;
            idle = 0;
        } else if (ti_now_ns() - progress_ns > PATIENCE_NS) {
            break;
        }
        if (idle++ < YIELDS) {
            sched_yield(); /* the threads need a CPU: ours, perhaps */
        } else {
            ti_sleep_ns(nap_ns);
            nap_ns = nap_ns * 2 < LONGEST_NAP_NS ? nap_ns * 2 : LONGEST_NAP_NS;
        }
    }
    run->late = pending != 0;
    for (size_t index = 0; run->late && index < count; index++) {
        if (run->turns[index].stage != TI_TURN_OVER) {
            ti_turn_abandon(&run->turns[index]);
        }
    }
}

static void find_threads(struct run *run, size_t count, struct ti_threads *threads)
{
    ti_threads_sort(threads);
    for (size_t index = 0; index < count; index++) {
        run->turns[index].thread = ti_threads_find(threads, threads->count, run->turns[index].request->tid);
    }
}

static int run_batch(struct run *run, size_t count)
{
    pid_t tids[BATCH];
    for (size_t index = 0; index < count; index++) {
        tids[index] = run->turns[index].request->tid;
    }
    struct ti_stop stop = {
        .pid = run->inject->pid,
        .only = {tids, count, count}, /* on our stack */
        .timeout_ns = run->inject->timeout_ns,
        .undo_restart = true,
        .cancelled = run->cancelled,
    };
    ti_tids_sort(&stop.only);
    int error = ti_stop_open(&stop);
    if (!error) {
        error = ti_stop_all(&stop);
        if (error != ECANCELED && error != ENOMEM) {
            find_threads(run, count, &stop.threads);
            answer_batch(run, count);
            error = 0; /* each thread has its own reason */
        }
        ti_stop_release(&stop);
    }
    stop.only = (struct ti_tids){0}; /* not to be freed */
    ti_stop_free(&stop);
    return error;
}

/* One try for all that have no answer yet; sets *again if some of them may have one at another try. */
static int run_round(struct run *run, bool *again)
{
    struct ti_inject *inject = run->inject;
    size_t next = 0;
    int error = 0;
    *again = false;
    while (next < inject->count && !error && !run->late) {
        size_t count = 0;
        for (; next < inject->count && count < BATCH; next++) {
            if (inject->requests[next].error == EAGAIN) {
                run->turns[count++].request = &inject->requests[next];
            }
        }
        error = count ? run_batch(run, count) : 0;
        for (size_t index = 0; index < count; index++) {
            *again |= run->turns[index].request->error == EAGAIN;
        }
    }
    return error;
}

static int run_rounds(struct run *run)
{
    bool again = true;
    int error = 0;
    for (int round = 0; round < ROUNDS && again && !error && !run->late; round++) {
        error = run_round(run, &again);
    }
    return error;
}

static int run_locked(struct run *run, pid_t living)
{
    int error = ti_inject_memory_open(&run->tools.memory, living);
    if (!error) {
        bool found = ti_inject_check_gadgets(&run->tools.memory, &run->inject->gadgets);
        error = found ? run_rounds(run) : EINVAL;
    }
    ti_inject_memory_close(&run->tools.memory);
    return error;
}

int ti_inject_run(struct ti_inject *inject, const atomic_bool *cancelled)
{
    for (size_t index = 0; index < inject->count; index++) {
        inject->requests[index].error = EAGAIN;
        inject->requests[index].why = "its turn did not come";
    }
    pid_t living = ti_tasks_find_living(inject->pid);
    if (!living) {
        return ESRCH;
    }
    struct run *run = aligned_alloc(64, (sizeof *run + 63) / 64 * 64); /* struct ti_image wants 64 */
    if (!run) {
        return ENOMEM;
    }
    run->inject = inject;
    run->cancelled = cancelled;
    run->late = false;
    run->tools.pid = inject->pid;
    run->tools.gadgets = &inject->gadgets;
    /* Locking may be refused (RLIMIT_MEMLOCK): then a page of ours could be slow to come, and the thread wait for it.
     */
    bool locked = mlockall(MCL_CURRENT | MCL_ONFAULT) == 0;
    int error = run_locked(run, living);
    if (locked) {
        munlockall();
    }
    free(run);
    return error;
}
#endif
