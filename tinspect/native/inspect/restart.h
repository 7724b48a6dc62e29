/* Undoes the EINTR that a stop causes. */
#ifndef TI_RESTART_H
#define TI_RESTART_H

#include "threads.h"

/* Marks a stopped thread whose system call the stop made fail (TI_THREAD_INTERRUPTED). */
void ti_restart_mark(struct ti_thread *thread);
/* Makes the kernel begin the marked system call anew when the thread goes on (TI_THREAD_RESTARTED). */
void ti_restart_undo(struct ti_thread *thread);

#endif
