/* A spawned thread's life, from its first instruction to its thread-local destructors. */
#ifndef TI_THREAD_MAIN_H
#define TI_THREAD_MAIN_H

/* The start routine; `slot` is a struct ti_thread_slot whose record is complete but for what only the thread can know.
 */
void *ti_thread_main(void *slot);

#endif
