/* When local values end. */
#ifndef TI_LOCAL_END_H
#define TI_LOCAL_END_H

#include "tinspect/local.h"

/* Ends a value: destroyed first, then dropped. The argument is its ti_local_head. */
void ti_local_end(void *head);

/* Arranges for ti_local_end(head) at the calling thread's end. */
void ti_local_at_end(ti_local_head *head, void *module);

#endif
