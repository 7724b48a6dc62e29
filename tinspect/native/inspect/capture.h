/* One capture: stop, registers, memory, release. */
#ifndef TI_CAPTURE_H
#define TI_CAPTURE_H

#include <stdatomic.h>

#include "copies.h"
#include "gaps.h"
#include "plan.h"
#include "threads.h"
#include "vectors.h"
#include "worker.h"

struct ti_capture {
    struct ti_threads threads; /* sorted by tid */
    struct ti_vectors vectors;
    struct ti_copies copies;
    struct ti_gaps gaps;
    uint64_t pause_ns;
};

/*
 * Runs the plan in a thread of its own and waits for it. `attend` is called on the caller's thread every few
 * milliseconds; once it returns nonzero the capture is given up, and the target released. 0, or an errno: ECANCELED
 * after that, ESRCH, EPERM, ETIMEDOUT (no thread came to its stop), ENOMEM, EAGAIN (no thread could be made). When it
 * returns, no thread of the target is traced by this process any more.
 */
int ti_capture_run(const struct ti_plan *plan, ti_worker_attend *attend, void *context, struct ti_capture *capture);
void ti_capture_free(struct ti_capture *capture);

#endif
