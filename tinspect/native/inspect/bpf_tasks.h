/* Every thread of a process by a BPF task iterator: nothing is stopped, nothing is injected. */
#ifndef TI_BPF_TASKS_H
#define TI_BPF_TASKS_H

#include "bpf_iterator.h"

struct ti_bpf_tasks {
    struct ti_bpf_output output; /* records, each as long as its has_registers says */
    size_t count;
    size_t registers_size;
};

/* Reads all threads of process `pid` (its number in our pid namespace). 0 or -errno; -ESRCH when there are none. */
int ti_bpf_tasks_read(struct ti_bpf_tasks *tasks, pid_t pid, const struct ti_bpf_layout *layout, bool registers,
                      struct ti_bpf_failure *failure);
/* The record at *offset, which moves on behind it; NULL at the end. */
const struct ti_bpf_record *ti_bpf_tasks_next(const struct ti_bpf_tasks *tasks, size_t *offset);
void ti_bpf_tasks_free(struct ti_bpf_tasks *tasks);

#endif
