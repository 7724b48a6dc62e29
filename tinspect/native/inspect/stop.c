#define _GNU_SOURCE
#include "stop.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "clock.h"
#include "reap.h"
#include "restart.h"

#define STATE_CHECK_NS TI_NS_PER_MS /* without progress for this long: look why in /proc */
/*
 * PTRACE_O_EXITKILL is not among them, on purpose: the target outlives its tracer. PTRACE_O_TRACEEXEC turns an execve
 * during the attach into a stop that tells so; without a tracer it means nothing.
 */
#define SEIZE_OPTIONS ((uintptr_t)PTRACE_O_TRACEEXEC)
/* Patience with a thread in state D while the others stand still: some 100 ms. Counted in looks at it, not in time: on
 * a machine out of breath both are slow, the thread to wake up and we to look. */
enum { UNINTERRUPTIBLE_CHECKS = 100 };
#define LONGEST_NAP_NS (500 * TI_NS_PER_US)

static bool is_cancelled(const struct ti_stop *stop)
{
    return atomic_load_explicit(stop->cancelled, memory_order_relaxed);
}

/* The wanted threads that there are: to list thousands for the sake of a few costs more than their stop. */
static int list_wanted(struct ti_stop *stop)
{
    pid_t *items = calloc(stop->only.count, sizeof *items);
    if (!items) {
        return ENOMEM;
    }
    stop->listed = (struct ti_tids){items, 0, stop->only.count};
    for (size_t index = 0; index < stop->only.count; index++) {
        if (ti_task_exists(stop->directory, stop->only.items[index])) {
            items[stop->listed.count++] = stop->only.items[index];
        }
    }
    return 0;
}

int ti_stop_open(struct ti_stop *stop)
{
    stop->directory = ti_tasks_open(stop->pid);
    if (stop->directory < 0) {
        return -stop->directory;
    }
    return stop->only.count ? list_wanted(stop) : ti_tasks_list(stop->directory, &stop->listed);
}

static bool is_pending(const struct ti_thread *thread)
{
    return !thread->error && !(thread->flags & TI_THREAD_STOPPED);
}

/*
 * EPERM has four meanings. A zombie: one that stays listed is the leader. A thread that is ours already: after an
 * execve the leader's id belongs to the thread that made the call, and that one was seized. A thread that was ending in
 * an execve when we asked, and is another one now: ask again. All else is a refusal.
 */
static int explain_refusal(const struct ti_stop *stop, struct ti_thread *thread)
{
    for (int tries = 0; tries < 8; tries++) {
        if (ti_task_is_dead(stop->directory, thread->tid)) {
            thread->flags |= TI_THREAD_ZOMBIE;
            return ESRCH;
        }
        pid_t tracer = ti_task_tracer(stop->directory, thread->tid);
        if (tracer) {
            return tracer == (pid_t)syscall(SYS_gettid) ? 0 : EPERM;
        }
        if (ptrace(PTRACE_SEIZE, thread->tid, NULL, (void *)SEIZE_OPTIONS) == 0) {
            return 0;
        }
    }
    return EPERM;
}

static int seize(const struct ti_stop *stop, pid_t tid, struct ti_thread *thread)
{
    *thread = (struct ti_thread){.tid = tid};
    if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)SEIZE_OPTIONS) != 0) {
        thread->error = errno == EPERM ? explain_refusal(stop, thread) : errno;
    }
    return thread->error;
}

/* In a loop of its own, not each thread right after it was seized: the threads that go to their stop meanwhile compete
 * with PTRACE_SEIZE for the kernel's task list, which made the whole 1.5 times as long at 1,000 threads. */
static void interrupt_seized(struct ti_stop *stop)
{
    for (size_t index = 0; index < stop->threads.count; index++) {
        struct ti_thread *thread = &stop->threads.items[index];
        if (is_pending(thread) && ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) != 0) {
            thread->error = errno; /* ESRCH: it ended between the two */
        }
    }
}

static bool is_wanted(const struct ti_stop *stop, pid_t tid)
{
    return stop->only.count == 0 || ti_tids_hold(&stop->only, tid);
}

/*
 * Seizes every listed thread that is not held. A thread that was lost is tried again when it is still listed: after an
 * execve by another thread, the leader's id belongs to that one. Sets `*fresh` to the number newly seized.
 */
static int seize_listed(struct ti_stop *stop, size_t *fresh)
{
    struct ti_threads *threads = &stop->threads;
    size_t known = threads->count;
    *fresh = 0;
    ti_threads_sort(threads);
    struct ti_thread *items =
        ti_array_room(threads->items, &threads->capacity, known, stop->listed.count + 1, sizeof *items);
    if (!items) {
        return ENOMEM;
    }
    threads->items = items;
    for (size_t index = 0; index < stop->listed.count && !is_cancelled(stop); index++) {
        pid_t tid = stop->listed.items[index];
        if (!is_wanted(stop, tid)) {
            continue;
        }
        struct ti_thread *thread = ti_threads_find(threads, known, tid);
        if (thread && (!thread->error || thread->error == ETIMEDOUT)) {
            continue;
        }
        thread = thread ? thread : &items[threads->count++];
        *fresh += seize(stop, tid, thread) == 0;
        if (thread->error == EPERM && *fresh == 0 && known == 0) {
            return EPERM; /* the others would be refused as well */
        }
    }
    return is_cancelled(stop) ? ECANCELED : 0;
}

static void read_registers(const struct ti_stop *stop, struct ti_thread *thread)
{
    struct iovec vector = {&thread->registers, sizeof thread->registers};
    if (ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_PRSTATUS, &vector) != 0) {
        thread->error = errno; /* ESRCH: killed while it was stopped */
        return;
    }
    thread->flags |= TI_THREAD_STOPPED;
    thread->registers_size = vector.iov_len;
    if (vector.iov_len != sizeof thread->registers) {
        thread->flags |= TI_THREAD_FOREIGN_ABI;
        return;
    }
    thread->sp = ti_arch_sp(&thread->registers);
    thread->thread_pointer = ti_arch_thread_pointer(thread->tid, &thread->registers);
    ti_restart_mark(thread);
    if (stop->undo_restart) {
        ti_restart_undo(thread); /* at once: from here on even our death leaves no EINTR behind */
    }
}

/* `status` as ptrace(2) describes it: a signal, and above it the event. */
static void note_stop(const struct ti_stop *stop, struct ti_thread *thread, int status)
{
    int event = status >> 8, signal = status & 0x7f;
    if (event == 0) {
        thread->flags |= TI_THREAD_SIGNAL_DELIVERY;
        thread->stop_signal = signal;
    } else if (event == PTRACE_EVENT_EXEC) {
        siginfo_t taken; /* no signal is at stake, and until it is taken ptrace refuses a thread whose id changed */
        waitid(P_PID, (id_t)thread->tid, &taken, WSTOPPED | WNOHANG | __WALL);
        thread->flags |= TI_THREAD_EXECED;
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        thread->flags |= TI_THREAD_GROUP_STOP;
        thread->stop_signal = signal;
    }
    read_registers(stop, thread);
}

/*
 * WNOWAIT: the status stays with the kernel. A consuming wait at a signal-delivery stop takes the signal out of the
 * thread, and only our PTRACE_DETACH would put it back: if we died in between, it would be lost. A death is not
 * consumed either: the target may be a child of this very process, whose status is not ours to take.
 */
static void poll_thread(struct ti_stop *stop, struct ti_thread *thread)
{
    siginfo_t info = {0};
    int result = waitid(P_PID, (id_t)thread->tid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);
    if (result != 0) {
        thread->error = ESRCH; /* ECHILD: no tracee any more. It made an execve and has the leader's id now, or was
                                  reaped for the sake of one */
        stop->stale = true;
    } else if (info.si_pid && info.si_code == CLD_TRAPPED) {
        note_stop(stop, thread, info.si_status);
        stop->stale = stop->stale || (thread->flags & TI_THREAD_EXECED);
    } else if (info.si_pid) {
        thread->error = ESRCH;
    }
}

/* Threads that will not come: ended ones whose end the kernel keeps from us (a leader), and those in an uninterruptible
 * sleep, such as a parent in vfork, which may last as long as its child pleases. */
static void check_state(const struct ti_stop *stop, struct ti_thread *thread, unsigned checks)
{
    char state = ti_task_state(stop->directory, thread->tid);
    if (state == 0 || state == 'Z' || state == 'X') {
        thread->flags |= state == 'Z' ? TI_THREAD_ZOMBIE : 0;
        thread->error = ESRCH;
    } else if (state == 'D' && checks > UNINTERRUPTIBLE_CHECKS) {
        thread->error = ETIMEDOUT;
    } else if (state == 'D') {
        ti_reap_ended(stop->pid); /* perhaps an execve that waits for us */
    }
}

static size_t drop_settled(const struct ti_stop *stop, size_t *pending, size_t count)
{
    size_t kept = 0;
    for (size_t index = 0; index < count; index++) {
        if (is_pending(&stop->threads.items[pending[index]])) {
            pending[kept++] = pending[index];
        }
    }
    return kept;
}

static int wait_pending(struct ti_stop *stop, size_t *pending, size_t count)
{
    uint64_t checked_ns = ti_now_ns(), nap_ns = 5 * TI_NS_PER_US;
    unsigned checks = 0;
    while (count) {
        for (size_t index = 0; index < count; index++) {
            poll_thread(stop, &stop->threads.items[pending[index]]);
        }
        size_t left = drop_settled(stop, pending, count);
        uint64_t now_ns = ti_now_ns();
        if (left < count) {
            count = left;
            checked_ns = now_ns;
            checks = 0;
            nap_ns = 5 * TI_NS_PER_US;
            sched_yield(); /* the threads need a CPU to come to their stop: ours, perhaps */
            continue;
        }
        if (is_cancelled(stop)) {
            return ECANCELED;
        }
        bool late = now_ns > stop->deadline_ns;
        if (now_ns - checked_ns > STATE_CHECK_NS || late) {
            checks++;
            for (size_t index = 0; index < count; index++) {
                struct ti_thread *thread = &stop->threads.items[pending[index]];
                check_state(stop, thread, checks);
                thread->error = thread->error || !late ? thread->error : ETIMEDOUT;
            }
            count = drop_settled(stop, pending, count);
            checked_ns = now_ns;
        }
        ti_sleep_ns(nap_ns);
        nap_ns = nap_ns * 2 < LONGEST_NAP_NS ? nap_ns * 2 : LONGEST_NAP_NS;
    }
    return 0;
}

/* After an execve: those that had stopped before it have ended, and the leader's id is another thread's. The status of
 * each is still with the kernel, so all are asked again, but those whose execve was just seen. */
static void forget_stops(struct ti_stop *stop)
{
    stop->stale = false;
    for (size_t index = 0; index < stop->threads.count; index++) {
        struct ti_thread *thread = &stop->threads.items[index];
        if ((thread->flags & TI_THREAD_STOPPED) && !(thread->flags & TI_THREAD_EXECED)) {
            *thread = (struct ti_thread){.tid = thread->tid};
        }
    }
}

static int wait_stopped(struct ti_stop *stop)
{
    size_t *pending = calloc(stop->threads.count + 1, sizeof *pending);
    if (!pending) {
        return ENOMEM;
    }
    for (size_t index = 0; index < stop->threads.count; index++) {
        pending[index] = index;
    }
    int error = wait_pending(stop, pending, drop_settled(stop, pending, stop->threads.count));
    if (!error && stop->stale) {
        forget_stops(stop);
        for (size_t index = 0; index < stop->threads.count; index++) {
            pending[index] = index;
        }
        error = wait_pending(stop, pending, drop_settled(stop, pending, stop->threads.count));
    }
    free(pending);
    return error;
}

/*
 * True when the process has no more threads than are held. The held ones cannot have left meanwhile (only SIGKILL ends
 * a stopped thread, and it ends them all), so equal numbers mean the same threads: a listing of thousands is saved.
 */
static bool holds_all(const struct ti_stop *stop)
{
    size_t held = 0;
    for (size_t index = 0; index < stop->threads.count; index++) {
        const struct ti_thread *thread = &stop->threads.items[index];
        held += !thread->error || thread->error == ETIMEDOUT || (thread->flags & TI_THREAD_ZOMBIE);
    }
    return held == ti_tasks_count(stop->directory);
}

static int outcome(const struct ti_stop *stop)
{
    int error = ESRCH;
    for (size_t index = 0; index < stop->threads.count; index++) {
        const struct ti_thread *thread = &stop->threads.items[index];
        if (thread->flags & TI_THREAD_STOPPED) {
            return 0;
        }
        error = thread->error != ESRCH ? thread->error : error;
    }
    return error;
}

int ti_stop_all(struct ti_stop *stop)
{
    size_t fresh;
    stop->started_ns = ti_now_ns();
    stop->deadline_ns = stop->started_ns + stop->timeout_ns;
    for (;;) {
        int error = seize_listed(stop, &fresh);
        if (!error) {
            interrupt_seized(stop);
            error = wait_stopped(stop);
        }
        if (error) {
            return error;
        }
        error = outcome(stop);
        bool replaced = error == ESRCH && !stop->only.count && ti_tasks_find_living(stop->pid); /* by an execve */
        bool settled = fresh == 0 || stop->only.count || holds_all(stop);
        if ((settled && !replaced) || ti_now_ns() > stop->deadline_ns) {
            return error;
        }
        error = ti_tasks_list(stop->directory, &stop->listed);
        if (error) {
            return error;
        }
    }
}

uint64_t ti_stop_release(struct ti_stop *stop)
{
    for (size_t index = 0; index < stop->threads.count; index++) {
        struct ti_thread *thread = &stop->threads.items[index];
        if (!(thread->flags & TI_THREAD_STOPPED)) {
            continue; /* cannot be detached while it runs; the end of this thread lets it go */
        }
        /* A signal that was being delivered goes on to its thread. A group-stop needs no signal: the kernel reinstates
         * it. */
        long signal = thread->flags & TI_THREAD_SIGNAL_DELIVERY ? thread->stop_signal : 0;
        ptrace(PTRACE_DETACH, thread->tid, NULL, (void *)signal);
    }
    uint64_t pause_ns = stop->started_ns ? ti_now_ns() - stop->started_ns : 0;
    ti_threads_sort(&stop->threads);
    return pause_ns;
}

void ti_stop_free(struct ti_stop *stop)
{
    if (stop->directory >= 0) {
        close(stop->directory);
    }
    free(stop->threads.items);
    ti_tids_free(&stop->listed);
    ti_tids_free(&stop->only);
}
