/* Alternate signal stacks. */
#ifndef TI_ALTSTACK_H
#define TI_ALTSTACK_H

#include "slots.h"

/* Gives the calling thread its slot's alternate stack, unless somebody set one already. Writes the record, whose
 * sequence is odd. A machine without memory for one leaves the thread without. */
void ti_altstack_install(struct ti_thread_slot *self);

void ti_altstack_freeze(void);
void ti_altstack_thaw(void);

#endif
