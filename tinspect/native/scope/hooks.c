/* Spawn hooks. A thread's list is immutable and counted: a child holds the list its parent had, and adding a hook puts
 * a new head in front of it, so lists never need a lock. */
#include "hooks.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "current.h"

struct ti_hook {
    ti_spawn_hook hook;
    struct ti_hook *next;
    _Atomic size_t holders;
};

struct ti_hook_run {
    size_t count; /* tokens made */
    size_t next;  /* the first that the child has not got */
    struct {
        ti_spawn_hook hook;
        void *token;
    } items[];
};

ti_status ti_add_spawn_hook(const ti_spawn_hook *hook)
{
    struct ti_hook *added = malloc(sizeof *added);
    if (added == NULL) {
        return TI_ENOMEM;
    }
    ti_status status = ti_options_copy(&added->hook, sizeof added->hook, hook);
    if (status != TI_OK || hook == NULL) {
        free(added);
        return TI_EINVAL;
    }
    struct ti_thread_slot *self = ti_current_slot();
    added->next = self->hooks; /* takes over the thread's own count */
    atomic_init(&added->holders, 1);
    self->hooks = added;
    return TI_OK;
}

ti_status ti_hooks_prepare(struct ti_hook *hooks, ti_thread child, struct ti_hook_run **run)
{
    *run = NULL;
    size_t count = 0;
    for (struct ti_hook *hook = hooks; hook != NULL; hook = hook->next) {
        count++;
    }
    if (count == 0) {
        return TI_OK;
    }
    struct ti_hook_run *made = malloc(sizeof *made + count * sizeof made->items[0]);
    if (made == NULL) {
        return TI_ENOMEM;
    }
    made->count = 0;
    made->next = 0;
    *run = made;
    for (struct ti_hook *hook = hooks; hook != NULL; hook = hook->next) {
        void *token = hook->hook.parent == NULL ? NULL : hook->hook.parent(child, hook->hook.context);
        made->items[made->count].hook = hook->hook;
        made->items[made->count++].token = token;
    }
    return TI_OK;
}

void ti_hooks_run(struct ti_hook_run *run)
{
    while (run != NULL && run->next < run->count) {
        size_t i = run->next++;
        if (run->items[i].hook.child != NULL) {
            run->items[i].hook.child(run->items[i].token, run->items[i].hook.context);
        }
    }
}

void ti_hooks_discard(struct ti_hook_run *run)
{
    for (size_t i = run == NULL ? 0 : run->next; run != NULL && i < run->count; i++) {
        if (run->items[i].hook.discard != NULL) {
            run->items[i].hook.discard(run->items[i].token, run->items[i].hook.context);
        }
    }
    free(run);
}

struct ti_hook *ti_hooks_share(struct ti_hook *hooks)
{
    if (hooks != NULL) {
        /* relaxed: the caller holds a count already, so the list cannot end meanwhile. */
        atomic_fetch_add_explicit(&hooks->holders, 1, memory_order_relaxed);
    }
    return hooks;
}

void ti_hooks_drop(struct ti_hook *hooks)
{
    /* acq_rel: the last holder sees all that the others did with the context before it ends it. */
    while (hooks != NULL && atomic_fetch_sub_explicit(&hooks->holders, 1, memory_order_acq_rel) == 1) {
        struct ti_hook *next = hooks->next;
        if (hooks->hook.drop_context != NULL) {
            hooks->hook.drop_context(hooks->hook.context);
        }
        free(hooks);
        hooks = next;
    }
}
