/* Borrowing, checked as it runs: a cell lends ranges of its owner's memory to the threads of a scope. Any number of
 * shared loans of overlapping ranges, or one exclusive loan. Loans are in the registry: an inspector tells them from
 * stray pointers. Raw pointers are not watched. */
#ifndef TINSPECT_CELL_H
#define TINSPECT_CELL_H

#include "tinspect/base.h"

TI_BEGIN_DECLS

/* Lends [address, address + size) to `scope`; the caller is the owner, and its frame is noted as the lender's. `type`
 * (NULL: neither Send nor Sync, so no other thread may borrow) is not copied. The cell ends with the scope, or by
 * ti_cell_end. */
TI_API ti_status ti_cell_create(ti_scope scope, void *address, size_t size, const ti_type *type, ti_cell *cell);
/* TI_EBORROW while a loan is out. */
TI_API ti_status ti_cell_end(ti_cell cell);

/* Who stands in the way of a loan. */
typedef struct ti_conflict {
    size_t size; /* sizeof(ti_conflict), set by the caller */
    ti_thread holder;
    bool exclusive;
    uint64_t low, high; /* the range that is lent */
    uint64_t taken_pc;  /* where the loan was taken */
    char holder_name[64];
} ti_conflict;

/* Borrows `length` bytes at `offset` of the cell (length 0: up to its end) for the calling thread. TI_EBORROW:
 * *conflict (may be NULL) says who has it. TI_ENOTSYNC, TI_ENOTSEND: another thread than the owner asks for a shared,
 * an exclusive loan of a type that does not allow it. TI_EOVERFLOW: the range leaves the cell. */
TI_API ti_status ti_cell_borrow(ti_cell cell, size_t offset, size_t length, ti_loan *loan, const void **data,
                                ti_conflict *conflict);
TI_API ti_status ti_cell_borrow_mut(ti_cell cell, size_t offset, size_t length, ti_loan *loan, void **data,
                                    ti_conflict *conflict);

/* Hands a loan to a thread of the scope (the caller must hold it); the same Send and Sync rules. */
TI_API ti_status ti_loan_give(ti_loan loan, ti_thread to);

/* The lent bytes, checked: TI_ESTALE after the loan has ended, TI_EPERM for a thread that does not hold it. */
TI_API ti_status ti_loan_data(ti_loan loan, const void **data, size_t *length);
TI_API ti_status ti_loan_data_mut(ti_loan loan, void **data, size_t *length);

/* Ends a loan. At the latest it ends with its scope. TI_ESTALE: it has ended already. TI_EPERM: only the holder, or the
 * cell's owner. */
TI_API ti_status ti_loan_end(ti_loan loan);

TI_END_DECLS

#endif
