/* Floating-point and vector registers of stopped threads, as ptrace(2) gives them (PTRACE_GETREGSET). */
#ifndef TI_VECTORS_H
#define TI_VECTORS_H

#include "threads.h"

/* One block for all threads; a thread's part of it is [vectors_at, vectors_at + vectors_size). */
struct ti_vectors {
    uint8_t *memory;
    size_t used, capacity;
};

/* Makes room for so many threads before the stop, pages included. 0 or ENOMEM. */
int ti_vectors_reserve(struct ti_vectors *vectors, size_t threads);
/* Reads those of every stopped thread; one whose set cannot be had keeps a size of 0. 0 or ENOMEM. */
int ti_vectors_read(struct ti_vectors *vectors, struct ti_threads *threads);
void ti_vectors_free(struct ti_vectors *vectors);

#endif
