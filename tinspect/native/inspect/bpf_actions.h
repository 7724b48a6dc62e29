/* What a process does on each signal (sigaction(2)), by a BPF task iterator: /proc tells which are caught, but not how.
 */
#ifndef TI_BPF_ACTIONS_H
#define TI_BPF_ACTIONS_H

#include "bpf_iterator.h"

struct ti_signal_action {
    uint64_t handler; /* an address; 0 SIG_DFL, 1 SIG_IGN */
    uint64_t flags;   /* SA_…, as the kernel keeps them */
};

/* Reads the actions of process `pid`, signal 1 first. 0 or -errno: -ESRCH when there is no such process, -ENODATA on a
 * kernel whose layout is not known, -EAGAIN when they never stood still. */
int ti_bpf_actions_read(struct ti_signal_action actions[TI_SIGNALS], pid_t pid, const struct ti_bpf_layout *layout,
                        struct ti_bpf_failure *failure);

#endif
