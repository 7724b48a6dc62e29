/* Cells written one time: OnceCell (by whoever comes first) and LazyCell (by its own initialiser). */
#include "once.h"

/* The value is written inside the once's attempt and read after it is done: release and acquire of the once's state
 * order the two, so the pointer itself needs no atomics. */
struct making {
    ti_make make;
    void *context;
    void **value;
};

static ti_status run_making(void *context, bool poisoned)
{
    (void)poisoned;
    struct making *making = context;
    void *fresh = NULL;
    ti_status status = making->make(making->context, &fresh);
    if (status == TI_OK) {
        *making->value = fresh;
    }
    return status;
}

ti_status ti_once_cell_get(const ti_once_cell *cell, void **value)
{
    if (!ti_once_is_done(&cell->once)) {
        return TI_ENOTSET;
    }
    *value = cell->value;
    return TI_OK;
}

struct setting {
    void *value;
    bool used;
};

static ti_status make_given(void *context, void **value)
{
    struct setting *setting = context;
    setting->used = true;
    *value = setting->value;
    return TI_OK;
}

ti_status ti_once_cell_set(ti_once_cell *cell, void *value)
{
    struct setting setting = {value, false};
    struct making making = {make_given, &setting, &cell->value};
    struct ti_once_task task = {run_making, &making, TI_ONCE_NEW, true};
    ti_status status = ti_once_run(&cell->once, task, TI_CALLER);
    return status == TI_OK && !setting.used ? TI_EBUSY : status;
}

ti_status ti_once_cell_get_or_make(ti_once_cell *cell, ti_make make, void *context, void **value)
{
    if (TI_UNLIKELY(!ti_once_is_done(&cell->once))) {
        struct making making = {make, context, &cell->value};
        struct ti_once_task task = {run_making, &making, TI_ONCE_NEW, true};
        ti_status status = ti_once_run(&cell->once, task, TI_CALLER);
        if (status != TI_OK) {
            return status;
        }
    }
    *value = cell->value;
    return TI_OK;
}

ti_status ti_once_cell_wait(ti_once_cell *cell, void **value)
{
    ti_status status = ti_once_wait_force(&cell->once);
    if (status == TI_OK) {
        *value = cell->value;
    }
    return status;
}

ti_status ti_once_cell_take(ti_once_cell *cell, void **value)
{
    if (!ti_once_is_done(&cell->once)) {
        return TI_ENOTSET;
    }
    *value = cell->value;
    cell->value = NULL;
    /* Relaxed: the caller is alone with the cell, by contract. */
    ti_set(cell->once.state, TI_ONCE_NEW);
    return TI_OK;
}

ti_status ti_lazy_cell_get(ti_lazy_cell *cell, void **value)
{
    if (TI_UNLIKELY(!ti_once_is_done(&cell->once))) {
        struct making making = {cell->make, cell->context, &cell->value};
        struct ti_once_task task = {run_making, &making, TI_ONCE_POISONED, false};
        ti_status status = ti_once_run(&cell->once, task, TI_CALLER);
        if (status != TI_OK) {
            return status;
        }
    }
    *value = cell->value;
    return TI_OK;
}

ti_status ti_lazy_cell_peek(const ti_lazy_cell *cell, void **value)
{
    uint32_t state = atomic_load_explicit(&cell->once.state, memory_order_acquire);
    if (state == TI_ONCE_DONE) {
        *value = cell->value;
        return TI_OK;
    }
    return (state & ~(uint32_t)TI_ONCE_AWAITED) == TI_ONCE_POISONED ? TI_EPOISONED : TI_ENOTSET;
}
