/* Runs a program over the threads of a process by a BPF task iterator (bpf(2)), and reads what it writes. */
#ifndef TI_BPF_ITERATOR_H
#define TI_BPF_ITERATOR_H

#include "bpf_program.h"

/* Why a step failed: which one, and the verifier's last words where it had any. */
struct ti_bpf_failure {
    const char *step;
    char log[256];
};

/* What one walk over the threads wrote; freed by whoever owns it. */
struct ti_bpf_output {
    uint8_t *bytes;
    size_t size, capacity;
};

/* Loads the program and links it to the threads of `pid` (its number in our pid namespace). A descriptor to close, or
 * -errno. */
int ti_bpf_iterator_open(const struct ti_bpf_program *program, const struct ti_bpf_layout *layout, pid_t pid,
                         struct ti_bpf_failure *failure);
/* One walk; what `output` held is overwritten. 0 or -errno. */
int ti_bpf_iterator_read(int link, struct ti_bpf_output *output, struct ti_bpf_failure *failure);

#endif
