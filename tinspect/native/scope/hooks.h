/* Spawn hooks: an immutable list that children share with their parents. */
#ifndef TI_HOOKS_H
#define TI_HOOKS_H

#include "tinspect/thread.h"

struct ti_hook;
struct ti_hook_run;

/* The spawning side: runs the `parent` halves; *run is what the child has to do, also when one of them unwinds.
 * TI_ENOMEM: nothing was run. */
ti_status ti_hooks_prepare(struct ti_hook *hooks, ti_thread child, struct ti_hook_run **run);
/* The child's side. A hook that unwinds leaves those behind it undone. */
void ti_hooks_run(struct ti_hook_run *run);
/* Ends the run, and the tokens that no child's side got: no thread came to be, or a hook unwound. NULL is fine. */
void ti_hooks_discard(struct ti_hook_run *run);

struct ti_hook *ti_hooks_share(struct ti_hook *hooks);
void ti_hooks_drop(struct ti_hook *hooks);

#endif
