#define _GNU_SOURCE
#include "capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "beyond.h"
#include "clock.h"
#include "lists.h"
#include "stacks.h"
#include "stop.h"

/* What a sleeping thread has on its stack, about: to have memory ready before the stop. */
#define LIVE_STACK_GUESS 4096ULL

struct job {
    const struct ti_plan *plan;
    struct ti_capture *capture;
};

static int add_relative(struct ti_ranges *wanted, const struct ti_thread *thread, int64_t offset, uint64_t size)
{
    return ti_ranges_add(wanted, thread->thread_pointer + (uint64_t)offset, size);
}

/* What is at known places: fixed ranges, and of every thread its descriptor, tables and the words that tell its stack.
 */
static int want_known_places(const struct ti_plan *plan, const struct ti_threads *threads, struct ti_ranges *wanted)
{
    int error = 0;
    for (size_t index = 0; !error && index < plan->fixed.count; index++) {
        error = ti_ranges_add(wanted, plan->fixed.items[index].low,
                              plan->fixed.items[index].high - plan->fixed.items[index].low);
    }
    for (size_t index = 0; !error && index < threads->count; index++) {
        const struct ti_thread *thread = &threads->items[index];
        if (!ti_thread_has_descriptor(thread)) {
            continue;
        }
        for (size_t at = 0; !error && at < plan->relative_count; at++) {
            error = add_relative(wanted, thread, plan->relatives[at].offset, plan->relatives[at].size);
        }
        for (size_t at = 0; !error && at < plan->table_count; at++) {
            error = add_relative(wanted, thread, plan->tables[at].offset, plan->tables[at].count * sizeof(uint64_t));
        }
        if (!error && plan->stack_rule.kind != TI_STACK_UNKNOWN) {
            error = add_relative(wanted, thread, plan->stack_rule.a, sizeof(uint64_t));
            error = error ? error : add_relative(wanted, thread, plan->stack_rule.b, sizeof(uint64_t));
        }
    }
    return error;
}

static int want_table_targets(const struct ti_plan *plan, const struct ti_thread *thread,
                              const struct ti_copies *copies, struct ti_ranges *wanted)
{
    int error = 0;
    for (size_t at = 0; at < plan->table_count; at++) {
        const struct ti_table *table = &plan->tables[at];
        uint64_t base = thread->thread_pointer + (uint64_t)table->offset, pointer;
        for (uint64_t slot = 0; !error && slot < table->count; slot++) {
            const void *copied = ti_copies_find(copies, base + slot * sizeof pointer, sizeof pointer);
            if (copied) {
                memcpy(&pointer, copied, sizeof pointer);
                error = pointer > table->before
                            ? ti_ranges_add(wanted, pointer - table->before, table->before + table->size)
                            : 0;
            }
        }
    }
    return error;
}

/* What the first copy leads to: nodes of lists, blocks that tables point to. */
static int want_reached_places(const struct ti_plan *plan, const struct ti_capture *capture, struct ti_reader *reader,
                               const struct ti_patience *patience, struct ti_ranges *wanted, struct ti_gaps *gaps)
{
    int error = 0;
    for (size_t index = 0; !error && index < plan->list_count; index++) {
        error = ti_list_walk(&plan->lists[index], &capture->copies, reader, patience, wanted, gaps);
    }
    for (size_t index = 0; !error && index < capture->threads.count; index++) {
        if (ti_thread_has_descriptor(&capture->threads.items[index])) {
            error = want_table_targets(plan, &capture->threads.items[index], &capture->copies, wanted);
        }
    }
    return error;
}

/* Takes off the end of `wanted` what is more than `budget` bytes, as gaps. */
static int cut_to_budget(struct ti_ranges *wanted, uint64_t budget, struct ti_gaps *gaps)
{
    int error = 0;
    uint64_t used = 0;
    size_t kept = 0;
    for (size_t index = 0; !error && index < wanted->count; index++) {
        struct ti_range *range = &wanted->items[index];
        uint64_t size = range->high - range->low, keep = size < budget - used ? size : budget - used;
        if (keep < size) {
            error = ti_gaps_add(gaps, TI_GAP_CAP, range->low + keep, size - keep);
        }
        range->high = range->low + keep;
        used += keep;
        kept += keep > 0; /* once nothing is left of one, nothing is left of all that follow */
    }
    wanted->count = kept;
    return error;
}

static pid_t find_held(const struct ti_threads *threads)
{
    for (size_t index = 0; index < threads->count; index++) {
        if (threads->items[index].flags & TI_THREAD_STOPPED) {
            return threads->items[index].tid;
        }
    }
    return 0;
}

static int copy_reached(const struct ti_plan *plan, struct ti_capture *capture, const struct ti_ranges *known,
                        struct ti_reader *reader, const struct ti_patience *patience)
{
    struct ti_ranges reached = {0}, rest = {0};
    uint64_t budget = plan->total_cap > capture->copies.bytes ? plan->total_cap - capture->copies.bytes : 0;
    int error = want_reached_places(plan, capture, reader, patience, &reached, &capture->gaps);
    ti_ranges_normalise(&reached);
    uint64_t reached_bytes = ti_ranges_bytes(&reached);
    struct ti_stack_sources sources = {plan, &capture->threads, &capture->copies, reader->tid,
                                       budget > reached_bytes ? budget - reached_bytes : 0};
    error = error ? error : ti_stacks_plan(&sources, &reached, &capture->gaps);
    ti_ranges_normalise(&reached);
    error = error ? error : ti_ranges_subtract(&reached, known, &rest);
    error = error ? error : cut_to_budget(&rest, budget, &capture->gaps);
    error = error ? error : ti_copies_add(&capture->copies, reader, &rest, patience, &capture->gaps);
    ti_ranges_free(&reached);
    ti_ranges_free(&rest);
    return error;
}

/* Whatever cannot be read of the optional parts is no gap: a pointer to nothing is a fact of the target. */
static int keep_other_gaps(const struct ti_gaps *found, struct ti_gaps *gaps)
{
    int error = 0;
    for (size_t index = 0; !error && index < found->count; index++) {
        const struct ti_gap *gap = &found->items[index];
        error = gap->kind != TI_GAP_MEMORY ? ti_gaps_add(gaps, gap->kind, gap->where, gap->amount) : 0;
    }
    return error;
}

static int copy_beyond(const struct ti_plan *plan, struct ti_capture *capture, struct ti_reader *reader,
                       const struct ti_patience *patience)
{
    struct ti_ranges wanted = {0}, copied = {0}, rest = {0};
    struct ti_gaps gaps = {0};
    struct ti_beyond beyond = {plan, &capture->threads, &capture->copies, reader, patience};
    uint64_t budget = plan->total_cap > capture->copies.bytes ? plan->total_cap - capture->copies.bytes : 0;
    int error = ti_beyond_blocks(&beyond, &wanted);
    error = error ? error : ti_beyond_registers(&beyond, &wanted);
    error = error ? error : ti_copies_extent(&capture->copies, &copied);
    ti_ranges_normalise(&wanted);
    ti_ranges_normalise(&copied);
    error = error ? error : ti_ranges_subtract(&wanted, &copied, &rest);
    error = error ? error : cut_to_budget(&rest, budget, &gaps);
    error = error ? error : ti_copies_add(&capture->copies, reader, &rest, patience, &gaps);
    error = error ? error : keep_other_gaps(&gaps, &capture->gaps);
    ti_ranges_free(&wanted);
    ti_ranges_free(&copied);
    ti_ranges_free(&rest);
    free(gaps.items);
    return error;
}

/* Three passes: places known beforehand, where those lead, and the optional parts beyond. */
static int copy_memory(const struct ti_plan *plan, struct ti_capture *capture, const atomic_bool *cancelled)
{
    struct ti_ranges known = {0};
    struct ti_reader reader;
    struct ti_patience patience = {ti_now_ns() + plan->timeout_ns, cancelled};
    ti_reader_init(&reader, find_held(&capture->threads));
    int error = want_known_places(plan, &capture->threads, &known);
    ti_ranges_normalise(&known);
    error = error ? error : cut_to_budget(&known, plan->total_cap, &capture->gaps);
    error = error ? error : ti_copies_add(&capture->copies, &reader, &known, &patience, &capture->gaps);
    error = error ? error : copy_reached(plan, capture, &known, &reader, &patience);
    error = error ? error : copy_beyond(plan, capture, &reader, &patience);
    ti_reader_close(&reader);
    ti_ranges_free(&known);
    return error;
}

static uint64_t expected_bytes(const struct ti_plan *plan, size_t thread_count)
{
    uint64_t bytes = LIVE_STACK_GUESS;
    for (size_t index = 0; index < plan->relative_count; index++) {
        bytes += plan->relatives[index].size;
    }
    for (size_t index = 0; index < plan->table_count; index++) {
        for (size_t at = 0; at < plan->tables[index].inner_count; at++) {
            bytes += plan->tables[index].inner[at].size;
        }
    }
    bytes = bytes * thread_count + ti_ranges_bytes(&plan->fixed);
    return bytes < plan->total_cap ? bytes : plan->total_cap;
}

static int capture_in_this_thread(void *context, const atomic_bool *cancelled)
{
    struct job *job = context;
    const struct ti_plan *plan = job->plan;
    struct ti_stop stop = {
        .pid = plan->pid,
        .only = plan->tids,
        .timeout_ns = plan->timeout_ns,
        .undo_restart = plan->undo_restart,
        .cancelled = cancelled,
    };
    int error = ti_stop_open(&stop);
    error = error ? error : ti_copies_reserve(&job->capture->copies, expected_bytes(plan, stop.listed.count));
    error = error || !plan->vectors ? error : ti_vectors_reserve(&job->capture->vectors, stop.listed.count);
    if (!error) {
        error = ti_stop_all(&stop);
        error = error || !plan->vectors ? error : ti_vectors_read(&job->capture->vectors, &stop.threads);
        job->capture->threads = stop.threads;
        error = error ? error : copy_memory(plan, job->capture, cancelled);
        job->capture->pause_ns = ti_stop_release(&stop);
    }
    job->capture->threads = stop.threads;
    stop.threads = (struct ti_threads){0};
    stop.only = (struct ti_tids){0};
    ti_stop_free(&stop);
    return error;
}

int ti_capture_run(const struct ti_plan *plan, ti_worker_attend *attend, void *context, struct ti_capture *capture)
{
    struct job job = {.plan = plan, .capture = capture};
    *capture = (struct ti_capture){0};
    return ti_worker_run(plan->pid, capture_in_this_thread, &job, attend, context);
}

void ti_capture_free(struct ti_capture *capture)
{
    free(capture->threads.items);
    free(capture->gaps.items);
    ti_vectors_free(&capture->vectors);
    ti_copies_free(&capture->copies);
    *capture = (struct ti_capture){0};
}
