/* Thread names. */
#ifndef TI_NAMES_H
#define TI_NAMES_H

#include "slots.h"

/* Checks a name and measures it: TI_EINVAL for a zero byte inside or more than TI_NAME_MAX bytes. */
#define TI_NAME_MAX 65535u
ti_status ti_name_measure(const char *name, size_t given, size_t *length);

/* Writes it into a record whose sequence is odd. TI_ENOMEM: a long name that does not fit anywhere. */
ti_status ti_name_set(struct ti_thread_slot *thread, const char *name, size_t length);

/* Gives the calling thread's name to the system: its first 15 bytes, at a UTF-8 boundary. */
void ti_name_to_system(const char *name, size_t length);

#endif
