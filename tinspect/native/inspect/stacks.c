#include "stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "maps.h"
#include "touched.h"

#define DIRECT_BYTES                                                                                                   \
    (64ULL << 10)                  /* a live stack up to this size is copied without asking which pages were touched   \
                                    */
#define FOREIGN_CAP (1ULL << 20)   /* of a stack that no descriptor names: its mapping may be a heap */
#define IDLE_SPAN (1ULL << 30)     /* of an idle stack looked through for touched pages, from its top */
#define LARGEST_STACK (1ULL << 40) /* a descriptor that tells more is no descriptor */
#define OVERRUN (1ULL << 20)       /* the gap the kernel keeps below a stack that grows (mm/mmap.c, 256 pages) */

/* One stack, or the rest of one: a run of ranges in `work.ranges`. */
struct part {
    pid_t tid;
    bool keep_high; /* the end that stays when a cap cuts: the top; else the stack pointer's */
    size_t first, count;
    uint64_t bytes;
};

struct work {
    const struct ti_stack_sources *sources;
    struct ti_gaps *gaps;
    struct ti_ranges ranges;
    struct part *parts;
    size_t part_count, part_capacity;
    struct ti_touched touched;
    struct ti_ranges fresh_mappings;
    bool mappings_read;
};

/* Begins a part for [*low, *high), cut down to `span`; what that leaves out is a gap. */
static int begin_part(struct work *work, const struct ti_thread *thread, uint64_t *low, uint64_t *high, uint64_t span,
                      bool keep_high)
{
    struct part *parts = ti_array_room(work->parts, &work->part_capacity, work->part_count, 1, sizeof *parts);
    if (!parts) {
        return ENOMEM;
    }
    work->parts = parts;
    parts[work->part_count++] = (struct part){.tid = thread->tid, .keep_high = keep_high, .first = work->ranges.count};
    uint64_t size = *high - *low;
    if (size <= span) {
        return 0;
    }
    *low = keep_high ? *high - span : *low;
    *high = *low + span;
    return ti_gaps_add(work->gaps, TI_GAP_STACK, (uint64_t)thread->tid, size - span);
}

static void end_part(struct work *work)
{
    struct part *part = &work->parts[work->part_count - 1];
    part->count = work->ranges.count - part->first;
    for (size_t index = part->first; index < work->ranges.count; index++) {
        part->bytes += work->ranges.items[index].high - work->ranges.items[index].low;
    }
}

/* The stack a thread runs on, from the red zone below sp up to `top`; all of it when sp has run over its end.
 * `inferred`: `top` is a mapping's end, not a stack's. */
static int add_running(struct work *work, const struct ti_thread *thread, struct ti_range stack, uint64_t cap,
                       bool inferred)
{
    uint64_t red_zone = work->sources->plan->red_zone, high = stack.high;
    uint64_t sp = thread->sp > stack.low ? thread->sp : stack.low;
    uint64_t low = sp - stack.low > red_zone ? sp - red_zone : stack.low;
    int error = begin_part(work, thread, &low, &high, cap, false);
    uint64_t page_of_sp = sp & ~(TI_PAGE - 1);
    if (!error && low < page_of_sp) {
        /* The red zone reaches into the page below: copied only if touched, and if not, there is nothing in it. */
        error = ti_touched_add(&work->touched, low, page_of_sp < high ? page_of_sp : high, &work->ranges);
        error = error == ENODATA ? 0 : error;
        low = page_of_sp;
    }
    if (!error && low < high) {
        int unknown =
            inferred || high - low > DIRECT_BYTES ? ti_touched_add(&work->touched, low, high, &work->ranges) : ENODATA;
        error = unknown == ENODATA ? ti_ranges_add(&work->ranges, low, high - low) : unknown;
    }
    end_part(work);
    return error;
}

/* A thread's own stack while the thread runs on another one. */
static int add_idle(struct work *work, const struct ti_thread *thread, struct ti_range stack)
{
    int error = begin_part(work, thread, &stack.low, &stack.high, IDLE_SPAN, true);
    error = error ? error : ti_touched_add(&work->touched, stack.low, stack.high, &work->ranges);
    end_part(work);
    return error == ENODATA ? ti_gaps_add(work->gaps, TI_GAP_STACK, (uint64_t)thread->tid, stack.high - stack.low)
                            : error;
}

static bool find_own_stack(const struct work *work, const struct ti_thread *thread, struct ti_range *stack)
{
    const struct ti_stack_rule *rule = &work->sources->plan->stack_rule;
    if (rule->kind == TI_STACK_UNKNOWN || thread->thread_pointer == 0) {
        return false;
    }
    uint64_t a, size;
    const void *first = ti_copies_find(work->sources->copies, thread->thread_pointer + (uint64_t)rule->a, sizeof a);
    const void *second = ti_copies_find(work->sources->copies, thread->thread_pointer + (uint64_t)rule->b, sizeof size);
    if (!first || !second) {
        return false;
    }
    memcpy(&a, first, sizeof a);
    memcpy(&size, second, sizeof size);
    if (a == 0 || size == 0 || size > LARGEST_STACK) {
        return false; /* the main thread's descriptor names no stack */
    }
    stack->low = rule->kind == TI_STACK_LOW_SIZE ? a : a - size;
    stack->high = stack->low + size;
    return stack->low < stack->high;
}

static const struct ti_range *find_mapping(struct work *work, uint64_t address)
{
    const struct ti_range *mapping = ti_maps_find(&work->sources->plan->mappings, address);
    if (!mapping && !work->mappings_read) {
        work->mappings_read =
            true; /* once: costly with many mappings, and the target cannot map more while it stands */
        if (ti_maps_read(work->sources->tid, &work->fresh_mappings) != 0) {
            work->fresh_mappings.count = 0;
        }
    }
    return mapping ? mapping : ti_maps_find(&work->fresh_mappings, address);
}

/* The mapping an sp that points to no memory has run over: the next one above, if no farther than the kernel's gap.
 * Looked for in the mappings of the stop alone: the stack has grown since the others were read. */
static const struct ti_range *find_overrun(const struct work *work, uint64_t sp)
{
    size_t index = ti_ranges_search(work->fresh_mappings.items, work->fresh_mappings.count, sp);
    const struct ti_range *above = &work->fresh_mappings.items[index];
    return index < work->fresh_mappings.count && above->low - sp <= OVERRUN ? above : NULL;
}

static int add_thread(struct work *work, const struct ti_thread *thread)
{
    struct ti_range own;
    bool has_own = find_own_stack(work, thread, &own);
    uint64_t cap = work->sources->plan->stack_cap;
    if (has_own && own.low < thread->sp && thread->sp <= own.high) {
        return add_running(work, thread, own, cap, false);
    }
    int error = has_own ? add_idle(work, thread, own) : 0;
    const struct ti_range *mapping = find_mapping(work, thread->sp);
    mapping = mapping || thread->sp == 0 ? mapping : find_mapping(work, thread->sp - 1); /* an empty stack */
    if (error) {
        return error;
    }
    mapping = mapping || thread->sp == 0 ? mapping : find_overrun(work, thread->sp);
    if (!mapping) {
        return ti_gaps_add(work->gaps, TI_GAP_STACK, (uint64_t)thread->tid, 0);
    }
    struct ti_range stack = *mapping;
    if (has_own && thread->sp >= stack.low && stack.high - thread->sp > FOREIGN_CAP) {
        stack.high = thread->sp + FOREIGN_CAP; /* no gap: what lies above may be any memory, a coroutine's heap */
    }
    return add_running(work, thread, stack, cap, true);
}

/* Cuts a part to `cap` bytes at the end that matters less. */
static int cut_part(struct work *work, const struct part *part, uint64_t cap)
{
    uint64_t left = cap;
    for (size_t step = 0; step < part->count; step++) {
        size_t index = part->first + (part->keep_high ? part->count - 1 - step : step);
        struct ti_range *range = &work->ranges.items[index];
        uint64_t keep = range->high - range->low < left ? range->high - range->low : left;
        range->low = part->keep_high ? range->high - keep : range->low;
        range->high = range->low + keep;
        left -= keep;
    }
    return ti_gaps_add(work->gaps, TI_GAP_STACK, (uint64_t)part->tid, part->bytes - cap);
}

static uint64_t bytes_under(const struct work *work, uint64_t cap)
{
    uint64_t total = 0;
    for (size_t index = 0; index < work->part_count; index++) {
        total += work->parts[index].bytes < cap ? work->parts[index].bytes : cap;
    }
    return total;
}

/* Keeps each stack within its cap, and all together within the budget by the largest common one: small stacks stay
 * whole. */
static int fit_budget(struct work *work)
{
    uint64_t low = 0, high = work->sources->plan->stack_cap, budget = work->sources->budget;
    if (bytes_under(work, high) <= budget) {
        low = high;
    }
    while (low < high) {
        uint64_t middle = high - (high - low) / 2;
        if (bytes_under(work, middle) <= budget) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    int error = 0;
    for (size_t index = 0; !error && index < work->part_count; index++) {
        if (work->parts[index].bytes > low) {
            error = cut_part(work, &work->parts[index], low);
        }
    }
    return error;
}

int ti_stacks_plan(const struct ti_stack_sources *sources, struct ti_ranges *wanted, struct ti_gaps *gaps)
{
    struct work work = {.sources = sources, .gaps = gaps, .touched = {.tid = sources->tid}};
    int error = 0;
    for (size_t index = 0; !error && index < sources->threads->count; index++) {
        const struct ti_thread *thread = &sources->threads->items[index];
        if ((thread->flags & TI_THREAD_STOPPED) && !(thread->flags & TI_THREAD_FOREIGN_ABI)) {
            error = add_thread(&work, thread);
        }
    }
    error = error ? error : fit_budget(&work);
    for (size_t index = 0; !error && index < work.ranges.count; index++) {
        error = ti_ranges_add(wanted, work.ranges.items[index].low,
                              work.ranges.items[index].high - work.ranges.items[index].low);
    }
    ti_touched_close(&work.touched);
    ti_ranges_free(&work.ranges);
    ti_ranges_free(&work.fresh_mappings);
    free(work.parts);
    return error;
}
