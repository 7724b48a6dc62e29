/* Loans: any number of shared ones of a range, or one exclusive. */
#include "loans.h"

#include <string.h>

#include "current.h"
#include "word_lock.h"

static bool stands_in_the_way(const struct ti_loan_slot *loan, uint64_t low, uint64_t high, bool exclusive)
{
    bool overlaps = ti_get(loan->record.low) < high && low < ti_get(loan->record.high);
    return overlaps && (exclusive || ti_get(loan->record.exclusive) != 0);
}

static void describe(const struct ti_loan_slot *loan, ti_conflict *conflict)
{
    size_t room = conflict == NULL ? 0 : conflict->size;
    if (room < sizeof conflict->size || room > sizeof *conflict) {
        return;
    }
    const struct ti_link *holder = &loan->record.borrower;
    ti_conflict facts = {
        .size = room,
        .holder = {ti_get(holder->id), ti_get(holder->slot), ti_get(holder->generation)},
        .exclusive = ti_get(loan->record.exclusive) != 0,
        .low = ti_get(loan->record.low),
        .high = ti_get(loan->record.high),
        .taken_pc = ti_get(loan->record.taken_pc),
    };
    ti_thread_name(facts.holder, facts.holder_name, sizeof facts.holder_name, NULL);
    memcpy(conflict, &facts, room);
}

/* May `borrower` have such a loan of the cell? Moving to another thread what only one may touch takes Send; letting
 * several read at once takes Sync. */
static ti_status check_thread(const struct ti_cell_slot *cell, uint64_t borrower, bool exclusive)
{
    uint32_t flags = ti_get(cell->record.type_flags);
    if (borrower == ti_get(cell->record.owner.id)) {
        return TI_OK;
    }
    if (exclusive) {
        return (flags & TI_TYPE_SEND) != 0 ? TI_OK : TI_ENOTSEND;
    }
    return (flags & TI_TYPE_SYNC) != 0 ? TI_OK : TI_ENOTSYNC;
}

static ti_status check_range(const struct ti_cell_slot *cell, size_t offset, size_t *length)
{
    uint64_t size = ti_get(cell->record.high) - ti_get(cell->record.low);
    if (offset > size || *length > size - offset) {
        return TI_EOVERFLOW;
    }
    *length = *length == 0 ? (size_t)(size - offset) : *length;
    return TI_OK;
}

struct request {
    size_t offset;
    size_t length;
    bool exclusive;
    uint64_t pc;
};

static struct ti_loan_slot *take(struct ti_cell_slot *cell, const struct request *request)
{
    struct ti_loan_slot *loan = (struct ti_loan_slot *)ti_slot_take(TI_KIND_LOAN);
    if (loan == NULL) {
        return NULL;
    }
    struct ti_scope_slot *scope = ti_get(cell->scope);
    struct ti_loan_record *record = &loan->record;
    const struct ti_link *owner = &cell->record.owner;
    uint64_t low = ti_get(cell->record.low) + request->offset;
    ti_link_set(&record->cell, &cell->record.slot);
    ti_link_set(&record->scope, &scope->record.slot);
    ti_set(record->lender.id, ti_get(owner->id));
    ti_set(record->lender.slot, ti_get(owner->slot));
    ti_set(record->lender.generation, ti_get(owner->generation));
    ti_link_set(&record->borrower, &ti_current_record()->slot);
    ti_set(record->low, low);
    ti_set(record->high, low + request->length);
    ti_set(record->lender_frame, ti_get(cell->record.frame));
    ti_set(record->taken_pc, request->pc);
    ti_set(record->exclusive, request->exclusive);
    ti_set(loan->scope, scope);
    loan->cell = cell;
    loan->next = cell->loans;
    cell->loans = loan;
    ti_record_end(&record->slot);
    return loan;
}

static ti_status borrow_locked(struct ti_cell_slot *cell, struct request *request, ti_conflict *conflict,
                               struct ti_loan_slot **taken)
{
    ti_status status = check_range(cell, request->offset, &request->length);
    if (status == TI_OK) {
        status = check_thread(cell, ti_current_id(), request->exclusive);
    }
    if (status != TI_OK) {
        return status;
    }
    uint64_t low = ti_get(cell->record.low) + request->offset;
    for (struct ti_loan_slot *loan = cell->loans; loan != NULL; loan = loan->next) {
        if (stands_in_the_way(loan, low, low + request->length, request->exclusive)) {
            describe(loan, conflict);
            return TI_EBORROW;
        }
    }
    *taken = take(cell, request);
    return *taken == NULL ? TI_ENOMEM : TI_OK;
}

static ti_status borrow(ti_cell handle, struct request *request, ti_loan *made, void **data, ti_conflict *conflict)
{
    struct ti_cell_slot *cell = ti_cell_lock(handle);
    if (cell == NULL) {
        return TI_ESTALE;
    }
    struct ti_scope_slot *scope = ti_get(cell->scope);
    struct ti_loan_slot *loan = NULL;
    ti_status status = borrow_locked(cell, request, conflict, &loan);
    if (status == TI_OK) {
        const struct ti_slot *slot = &loan->record.slot;
        *made = (ti_loan){ti_get(slot->id), ti_get(slot->number), ti_get(slot->generation)};
        *data = (void *)(uintptr_t)ti_get(loan->record.low);
    }
    ti_word_unlock(&scope->lock);
    return status;
}

ti_status ti_cell_borrow(ti_cell cell, size_t offset, size_t length, ti_loan *loan, const void **data,
                         ti_conflict *conflict)
{
    struct request request = {offset, length, false, (uint64_t)(uintptr_t)__builtin_return_address(0)};
    void *bytes = NULL;
    ti_status status = borrow(cell, &request, loan, &bytes, conflict);
    if (status == TI_OK && data != NULL) {
        *data = bytes;
    }
    return status;
}

ti_status ti_cell_borrow_mut(ti_cell cell, size_t offset, size_t length, ti_loan *loan, void **data,
                             ti_conflict *conflict)
{
    struct request request = {offset, length, true, (uint64_t)(uintptr_t)__builtin_return_address(0)};
    void *bytes = NULL;
    ti_status status = borrow(cell, &request, loan, &bytes, conflict);
    if (status == TI_OK && data != NULL) {
        *data = bytes;
    }
    return status;
}

static struct ti_loan_slot *find_loan(ti_loan loan)
{
    return (struct ti_loan_slot *)ti_slot_find(TI_KIND_LOAN, loan.id, loan.slot, loan.generation);
}

/* The loan, with its scope's lock held; NULL (and no lock) when it has ended. */
static struct ti_loan_slot *lock_loan(ti_loan handle)
{
    struct ti_loan_slot *loan = find_loan(handle);
    if (loan == NULL) {
        return NULL;
    }
    struct ti_scope_slot *scope = ti_get(loan->scope);
    ti_word_lock(&scope->lock);
    if (find_loan(handle) == NULL) {
        ti_word_unlock(&scope->lock);
        return NULL;
    }
    return loan;
}

ti_status ti_loan_give(ti_loan handle, ti_thread to)
{
    struct ti_loan_slot *loan = lock_loan(handle);
    if (loan == NULL) {
        return TI_ESTALE;
    }
    struct ti_scope_slot *scope = ti_get(loan->scope);
    struct ti_loan_record *record = &loan->record;
    struct ti_thread_record *receiver = ti_thread_find(to);
    ti_status status = receiver == NULL ? TI_ESTALE : check_thread(loan->cell, to.id, ti_get(record->exclusive) != 0);
    if (ti_get(record->borrower.id) != ti_current_id()) {
        status = TI_EPERM;
    }
    if (status == TI_OK) {
        ti_record_begin(&record->slot);
        ti_set(record->borrower.id, to.id);
        ti_set(record->borrower.slot, to.slot);
        ti_set(record->borrower.generation, to.generation);
        ti_record_end(&record->slot);
    }
    ti_word_unlock(&scope->lock);
    return status;
}

static ti_status data_of(ti_loan handle, bool exclusive, void **data, size_t *length)
{
    struct ti_loan_slot *loan = find_loan(handle);
    if (loan == NULL) {
        return ti_misuse(TI_ESTALE, "using a loan that has ended", NULL, 0);
    }
    uint64_t low = ti_get(loan->record.low);
    uint64_t high = ti_get(loan->record.high);
    uint64_t holder = ti_get(loan->record.borrower.id);
    bool allowed = !exclusive || ti_get(loan->record.exclusive) != 0;
    atomic_thread_fence(memory_order_acquire);
    if (find_loan(handle) == NULL) {
        return TI_ESTALE;
    }
    if (holder != ti_current_id() || !allowed) {
        return ti_misuse(TI_EPERM, allowed ? "using somebody else's loan" : "writing through a shared loan", loan,
                         holder);
    }
    *data = (void *)(uintptr_t)low;
    if (length != NULL) {
        *length = (size_t)(high - low);
    }
    return TI_OK;
}

ti_status ti_loan_data(ti_loan loan, const void **data, size_t *length)
{
    void *bytes = NULL;
    ti_status status = data_of(loan, false, &bytes, length);
    if (status == TI_OK) {
        *data = bytes;
    }
    return status;
}

ti_status ti_loan_data_mut(ti_loan loan, void **data, size_t *length)
{
    return data_of(loan, true, data, length);
}

ti_status ti_loan_end(ti_loan handle)
{
    struct ti_loan_slot *loan = lock_loan(handle);
    if (loan == NULL) {
        return ti_misuse(TI_ESTALE, "ending a loan that has ended", NULL, 0);
    }
    struct ti_scope_slot *scope = ti_get(loan->scope);
    uint64_t self = ti_current_id();
    bool allowed = ti_get(loan->record.borrower.id) == self || ti_get(loan->record.lender.id) == self;
    if (allowed) {
        struct ti_loan_slot **link = &loan->cell->loans;
        while (*link != loan) {
            link = &(*link)->next;
        }
        *link = loan->next;
        ti_slot_release(TI_KIND_LOAN, &loan->record.slot);
    }
    ti_word_unlock(&scope->lock);
    return allowed ? TI_OK : TI_EPERM;
}
