#include "beyond.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "touched.h"

/* The target may hold any number: nothing is added that leaves the address space. */
static int add_sized(struct ti_ranges *ranges, uint64_t low, uint64_t size)
{
    return low && size <= UINT64_MAX - low ? ti_ranges_add(ranges, low, size) : 0;
}

static int add_inner(const struct ti_beyond *beyond, const struct ti_table *table, uint64_t pointer,
                     struct ti_ranges *wanted)
{
    int error = 0;
    for (size_t at = 0; !error && at < table->inner_count; at++) {
        uint64_t block;
        if (ti_copies_word(beyond->copies, beyond->reader, pointer + (uint64_t)table->inner[at].offset, &block) == 0) {
            error = add_sized(wanted, block, table->inner[at].size);
        }
    }
    return error;
}

static int add_table(const struct ti_beyond *beyond, const struct ti_thread *thread, const struct ti_table *table,
                     struct ti_ranges *wanted)
{
    uint64_t base = thread->thread_pointer + (uint64_t)table->offset, pointer;
    int error = 0;
    for (uint64_t slot = 0; !error && table->inner_count && slot < table->count; slot++) {
        const void *copied = ti_copies_find(beyond->copies, base + slot * sizeof pointer, sizeof pointer);
        if (copied) {
            memcpy(&pointer, copied, sizeof pointer);
            error = pointer ? add_inner(beyond, table, pointer, wanted) : 0;
        }
    }
    return error;
}

/* Ends as ti_list_walk does: by the limit, the deadline, or Brent's method when it loops. */
static int add_chain(const struct ti_beyond *beyond, const struct ti_thread *thread, const struct ti_chain *chain,
                     struct ti_ranges *wanted)
{
    uint64_t place = thread->thread_pointer + (uint64_t)chain->offset, node, remembered = 0, power = 1, seen = 0;
    int error = 0, broken = ti_copies_word(beyond->copies, beyond->reader, place, &node);
    while (!error && !broken && node && node != remembered && seen < chain->limit &&
           ti_now_ns() < beyond->patience->deadline_ns) {
        error = add_sized(wanted, node + (uint64_t)chain->record_offset, chain->record_size);
        if (++seen == power) {
            remembered = node;
            power *= 2;
        }
        broken = ti_copies_word(beyond->copies, beyond->reader, node + (uint64_t)chain->next_offset, &node);
    }
    return error;
}

int ti_beyond_blocks(const struct ti_beyond *beyond, struct ti_ranges *wanted)
{
    const struct ti_plan *plan = beyond->plan;
    int error = 0;
    for (size_t index = 0; !error && index < beyond->threads->count; index++) {
        const struct ti_thread *thread = &beyond->threads->items[index];
        if (!ti_thread_has_descriptor(thread)) {
            continue;
        }
        for (size_t at = 0; !error && at < plan->table_count; at++) {
            error = add_table(beyond, thread, &plan->tables[at], wanted);
        }
        for (size_t at = 0; !error && at < plan->chain_count; at++) {
            error = add_chain(beyond, thread, &plan->chains[at], wanted);
        }
    }
    return error;
}

static int add_pointed(const struct ti_beyond *beyond, const struct ti_thread *thread, struct ti_ranges *pointed)
{
    int error = 0;
    for (size_t at = 0; !error && at < beyond->plan->register_pointer_count; at++) {
        const struct ti_register_pointer *pointer = &beyond->plan->register_pointers[at];
        uint64_t value;
        if (pointer->offset + sizeof value <= thread->registers_size) {
            memcpy(&value, (const uint8_t *)&thread->registers + pointer->offset, sizeof value);
            error = value > pointer->before
                        ? add_sized(pointed, value - pointer->before, pointer->before + pointer->size)
                        : 0;
        }
    }
    return error;
}

int ti_beyond_registers(const struct ti_beyond *beyond, struct ti_ranges *wanted)
{
    struct ti_ranges pointed = {0}, copied = {0}, rest = {0};
    struct ti_touched touched = {.tid = beyond->reader->tid};
    int error = ti_copies_extent(beyond->copies, &copied);
    for (size_t index = 0; !error && index < beyond->threads->count; index++) {
        const struct ti_thread *thread = &beyond->threads->items[index];
        if ((thread->flags & TI_THREAD_STOPPED) && !(thread->flags & TI_THREAD_FOREIGN_ABI)) {
            error = add_pointed(beyond, thread, &pointed);
        }
    }
    ti_ranges_normalise(&pointed);
    ti_ranges_normalise(&copied);
    error = error ? error : ti_ranges_subtract(&pointed, &copied, &rest);
    for (size_t index = 0; !error && index < rest.count; index++) {
        error = ti_touched_add(&touched, rest.items[index].low, rest.items[index].high, wanted);
        error = error == ENODATA ? 0 : error;
    }
    ti_touched_close(&touched);
    ti_ranges_free(&pointed);
    ti_ranges_free(&copied);
    ti_ranges_free(&rest);
    return error;
}
