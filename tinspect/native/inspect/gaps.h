/* What a capture could not learn, and how much of it. */
#ifndef TI_GAPS_H
#define TI_GAPS_H

#include <stddef.h>
#include <stdint.h>

enum ti_gap_kind {
    TI_GAP_MEMORY, /* where: address, amount: bytes that cannot be read */
    TI_GAP_LATE,   /* where: address, amount: bytes not read because the time was up */
    TI_GAP_CAP,    /* where: address, amount: bytes beyond total_cap */
    TI_GAP_STACK,  /* where: tid, amount: bytes of its stack left out by a cap; 0: its stack is not known */
    TI_GAP_LIST,   /* where: head, amount: nodes seen before the list broke off, looped or reached its limit */
};

struct ti_gap {
    enum ti_gap_kind kind;
    uint64_t where, amount;
};

struct ti_gaps {
    struct ti_gap *items;
    size_t count, capacity;
};

/* Adds a gap; one of addresses that continues the last one makes that longer. 0 or ENOMEM. */
int ti_gaps_add(struct ti_gaps *gaps, enum ti_gap_kind kind, uint64_t where, uint64_t amount);

#endif
