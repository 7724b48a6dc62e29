/* What the locks share. */
#include "waiting.h"

#include <stdio.h>

bool ti_sleep_on(const _Atomic uint32_t *word, uint32_t expected, ti_deadline deadline, struct ti_waiting waiting)
{
    struct ti_thread_record *self = ti_current_record();
    if (waiting.record != NULL) {
        atomic_fetch_add_explicit(&waiting.record->waiters, 1, memory_order_relaxed);
    }
    uint32_t before = ti_wait_begin(self, waiting.kind, waiting.object);
    bool awake = ti_futex_wait(word, expected, deadline);
    ti_wait_end(self, before);
    if (waiting.record != NULL) {
        atomic_fetch_sub_explicit(&waiting.record->waiters, 1, memory_order_relaxed);
    }
    return awake;
}

ti_status ti_lock_misuse(ti_status status, const char *what, const void *object, uint64_t holder, const void *caller,
                         uintptr_t site)
{
    char words[160];
    if (site != 0) {
        snprintf(words, sizeof words, "%s at %p, taken at %#lx", what, caller, (unsigned long)site);
    } else {
        snprintf(words, sizeof words, "%s at %p", what, caller);
    }
    return ti_misuse(status, words, object, holder);
}

ti_status ti_lock_name(struct ti_lock_record **record, const void *object, enum ti_lock_kind kind, const char *name)
{
    *record = name != NULL ? ti_lock_register(object, kind, name) : NULL;
    return name != NULL && *record == NULL ? TI_ENOMEM : TI_OK;
}

void ti_lock_unname(struct ti_lock_record **record)
{
    if (*record != NULL) {
        ti_lock_unregister(*record);
        *record = NULL;
    }
}
