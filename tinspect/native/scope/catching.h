/* Catching panics inside the runtime. */
#ifndef TI_CATCHING_H
#define TI_CATCHING_H

#include "tinspect/panic.h"

/* Ends `value` by `drop` (NULL: nothing to do). A panic in it is fatal: there is nobody left to hand it to. */
void ti_drop_value(ti_drop drop, void *value, const char *what);

/* Puts the chain `more` behind `first`; either may be NULL. */
ti_panics *ti_panics_append(ti_panics *first, ti_panics *more);

#endif
