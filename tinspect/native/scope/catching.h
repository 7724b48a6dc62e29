/* Catching panics inside the runtime. */
#ifndef TI_CATCHING_H
#define TI_CATCHING_H

#include "tinspect/panic.h"

/* Ends `value` by `drop` (NULL: nothing to do). A panic in it is fatal, for there is nobody left to hand it to; so is
 * every other way not to return. Cancellation waits until it is over. */
void ti_drop_value(ti_drop drop, void *value, const char *what);

/* Puts the chain `more` behind `first`; either may be NULL. */
ti_panics *ti_panics_append(ti_panics *first, ti_panics *more);

#endif
