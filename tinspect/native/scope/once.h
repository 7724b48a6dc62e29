/* What the once family shares: running an initialiser, with its outcome. */
#ifndef TI_ONCE_H
#define TI_ONCE_H

#include "tinspect/sync.h"
#include "waiting.h"

/* An initialiser. TI_OK makes the once done; another status makes it new again. */
struct ti_once_task {
    ti_status (*run)(void *context, bool poisoned);
    void *context;
    enum ti_once_state after_panic; /* what a panic leaves: TI_ONCE_POISONED or TI_ONCE_NEW */
    bool despite_poison;            /* try a poisoned one again */
};

/* Runs the task unless the once is done, or waits for whoever runs one. */
ti_status ti_once_run(ti_once *once, struct ti_once_task task, const void *caller);

#endif
