/* Joining inside the runtime. */
#ifndef TI_JOIN_H
#define TI_JOIN_H

#include "slots.h"

/* pthread_join of a thread the caller has claimed, no cancellation point. 0, ETIMEDOUT or EDEADLK. */
int ti_join_system(struct ti_thread_slot *thread, ti_deadline deadline);

#endif
