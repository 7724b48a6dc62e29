#include "vectors.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "array.h"

int ti_vectors_reserve(struct ti_vectors *vectors, size_t threads)
{
    size_t bytes = threads * ti_arch_vectors_size();
    uint8_t *memory = ti_array_room(vectors->memory, &vectors->capacity, vectors->used, bytes, 1);
    if (!memory) {
        return ENOMEM;
    }
    vectors->memory = memory;
    memset(memory + vectors->used, 0, bytes); /* touched now: a page fault during the stop lengthens it */
    return 0;
}

static size_t read_set(pid_t tid, uintptr_t set, void *into, size_t room)
{
    struct iovec vector = {into, room};
    return ptrace(PTRACE_GETREGSET, tid, (void *)set, &vector) == 0 ? vector.iov_len : 0;
}

int ti_vectors_read(struct ti_vectors *vectors, struct ti_threads *threads)
{
    const size_t room = ti_arch_vectors_size();
    for (size_t index = 0; index < threads->count; index++) {
        struct ti_thread *thread = &threads->items[index];
        if (!(thread->flags & TI_THREAD_STOPPED) || (thread->flags & TI_THREAD_FOREIGN_ABI)) {
            continue;
        }
        uint8_t *memory = ti_array_room(vectors->memory, &vectors->capacity, vectors->used, room, 1);
        if (!memory) {
            return ENOMEM;
        }
        vectors->memory = memory;
        /* The whole set holds the floating-point one as well, so one call does for both (formats/vector_notes.py). */
        size_t size = read_set(thread->tid, TI_ARCH_VECTOR_SET, memory + vectors->used, room);
        size = size ? size : read_set(thread->tid, NT_PRFPREG, memory + vectors->used, room);
        thread->vectors_at = vectors->used;
        thread->vectors_size = size;
        vectors->used += size;
    }
    return 0;
}

void ti_vectors_free(struct ti_vectors *vectors)
{
    free(vectors->memory);
    *vectors = (struct ti_vectors){0};
}
