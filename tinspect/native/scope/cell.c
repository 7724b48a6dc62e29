/* Cells: what an owner lends to its scope. */
#include "tinspect/cell.h"

#include <string.h>

#include "current.h"
#include "loans.h"
#include "word_lock.h"

static struct ti_scope_slot *find_scope(ti_scope scope)
{
    return (struct ti_scope_slot *)ti_slot_find(TI_KIND_SCOPE, scope.id, scope.slot, scope.generation);
}

ti_status ti_cell_create(ti_scope handle, void *address, size_t size, const ti_type *type, ti_cell *made)
{
    struct ti_thread_record *self = ti_current_record();
    struct ti_scope_slot *scope = find_scope(handle);
    if (scope == NULL) {
        return TI_ESTALE;
    }
    /* Only the owner's memory outlives the scope for certain. It also is the only one who could end the scope
     * meanwhile. */
    if (ti_get(scope->record.owner.id) != ti_get(self->slot.id)) {
        return TI_EPERM;
    }
    uint64_t low = (uint64_t)(uintptr_t)address;
    if (address == NULL || size > UINT64_MAX - low) {
        return TI_EINVAL;
    }
    struct ti_cell_slot *cell = (struct ti_cell_slot *)ti_slot_take(TI_KIND_CELL);
    if (cell == NULL) {
        return TI_ENOMEM;
    }
    struct ti_cell_record *record = &cell->record;
    ti_link_set(&record->scope, &scope->record.slot);
    ti_link_set(&record->owner, &self->slot);
    ti_set(record->low, low);
    ti_set(record->high, low + size);
    /* The caller's stack pointer at this call: an address inside of the lender's frame. */
    ti_set(record->frame, (uint64_t)(uintptr_t)__builtin_dwarf_cfa());
    ti_set(record->created_pc, (uint64_t)(uintptr_t)__builtin_return_address(0));
    if (type != NULL) {
        ti_set(record->type_flags, type->flags);
        const char *name = type->name == NULL ? "" : type->name;
        ti_set(record->name_length, ti_text_set(record->name, TI_NAME_INLINE, name, strlen(name)));
    }
    ti_set(cell->scope, scope);
    cell->loans = NULL;
    ti_record_end(&record->slot);
    ti_word_lock(&scope->lock);
    cell->next = scope->cells;
    scope->cells = cell;
    ti_word_unlock(&scope->lock);
    *made = (ti_cell){ti_get(record->slot.id), ti_get(record->slot.number), ti_get(record->slot.generation)};
    return TI_OK;
}

struct ti_cell_slot *ti_cell_lock(ti_cell handle)
{
    struct ti_cell_slot *cell =
        (struct ti_cell_slot *)ti_slot_find(TI_KIND_CELL, handle.id, handle.slot, handle.generation);
    if (cell == NULL) {
        return NULL;
    }
    struct ti_scope_slot *scope = ti_get(cell->scope);
    ti_word_lock(&scope->lock);
    if (ti_slot_find(TI_KIND_CELL, handle.id, handle.slot, handle.generation) == NULL) {
        ti_word_unlock(&scope->lock);
        return NULL;
    }
    return cell;
}

ti_status ti_cell_end(ti_cell handle)
{
    struct ti_cell_slot *cell = ti_cell_lock(handle);
    if (cell == NULL) {
        return TI_ESTALE;
    }
    struct ti_scope_slot *scope = ti_get(cell->scope);
    ti_status status = cell->loans != NULL ? TI_EBORROW : TI_OK;
    if (ti_get(cell->record.owner.id) != ti_current_id()) {
        status = TI_EPERM;
    }
    if (status == TI_OK) {
        struct ti_cell_slot **link = &scope->cells;
        while (*link != cell) {
            link = &(*link)->next;
        }
        *link = cell->next;
        ti_slot_release(TI_KIND_CELL, &cell->record.slot);
    }
    ti_word_unlock(&scope->lock);
    return status;
}

void ti_loans_end_with(struct ti_scope_slot *scope)
{
    /* No child is left, and a stale handle of another thread is refused under this lock: nobody is in the middle of a
     * borrow when the slots go. */
    if (scope->cells == NULL) {
        return;
    }
    ti_word_lock(&scope->lock);
    while (scope->cells != NULL) {
        struct ti_cell_slot *cell = scope->cells;
        scope->cells = cell->next;
        while (cell->loans != NULL) {
            struct ti_loan_slot *loan = cell->loans;
            cell->loans = loan->next;
            ti_slot_release(TI_KIND_LOAN, &loan->record.slot);
        }
        ti_slot_release(TI_KIND_CELL, &cell->record.slot);
    }
    ti_word_unlock(&scope->lock);
}
