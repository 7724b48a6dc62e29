/* What a capture is to copy, decided before the stop. */
#ifndef TI_PLAN_H
#define TI_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ranges.h"
#include "tasks.h"

/* [thread pointer + offset, + size) of every thread. */
struct ti_relative {
    int64_t offset;
    uint64_t size;
};

/* The word at p + offset leads to `size` bytes more. */
struct ti_inner {
    int64_t offset;
    uint64_t size;
};

/* `count` pointers at thread pointer + offset; of each that is not null [p - before, p + size). `inner` is optional. */
struct ti_table {
    int64_t offset;
    uint64_t count, before, size;
    struct ti_inner *inner;
    size_t inner_count;
};

/* Optional: a list that begins with the pointer at thread pointer + offset and goes on at node + next_offset until
 * null. */
struct ti_chain {
    int64_t offset, record_offset, next_offset;
    uint64_t record_size, limit;
};

/* Optional: [v - before, v + size) around the value of the register at this byte of ti_arch_registers, where touched.
 */
struct ti_register_pointer {
    uint64_t offset, before, size;
};

/* A circular list whose nodes begin with the pointer to the next; a record holds its node at link_offset. */
struct ti_list {
    uint64_t head;
    int64_t link_offset, record_offset;
    uint64_t record_size, limit;
};

enum ti_stack_rule_kind {
    TI_STACK_UNKNOWN,
    TI_STACK_LOW_SIZE, /* a: lowest address, b: size (glibc's stackblock) */
    TI_STACK_TOP_SIZE, /* a: end, b: size (musl) */
};

/* Two words of the thread descriptor, at thread pointer + offset, that tell the thread's own stack. */
struct ti_stack_rule {
    enum ti_stack_rule_kind kind;
    int64_t a, b;
};

struct ti_plan {
    pid_t pid;
    struct ti_ranges fixed;
    struct ti_relative *relatives;
    size_t relative_count;
    struct ti_table *tables;
    size_t table_count;
    struct ti_list *lists;
    size_t list_count;
    struct ti_chain *chains;
    size_t chain_count;
    struct ti_register_pointer *register_pointers;
    size_t register_pointer_count;
    struct ti_stack_rule stack_rule;
    struct ti_ranges mappings; /* sorted */
    uint64_t red_zone, stack_cap, total_cap;
    struct ti_tids tids; /* sorted; all threads when empty */
    bool undo_restart, vectors;
    uint64_t timeout_ns;
};

#endif
