/* The numbers about a kernel that the task iterator's program is made from; the same until another kernel is booted. */
#ifndef TI_BPF_LAYOUT_H
#define TI_BPF_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ti_bpf_number {
    TI_TASK_FLAGS,
    TI_TASK_ON_CPU,
    TI_TASK_GROUP_LEADER,
    TI_TASK_THREAD_PID,
    TI_TASK_VOLUNTARY_SWITCHES,
    TI_TASK_INVOLUNTARY_SWITCHES,
    TI_TASK_SIGNAL,
    TI_TASK_ALTSTACK_SP,
    TI_TASK_ALTSTACK_SIZE,
    TI_TASK_ALTSTACK_FLAGS,
    TI_TASK_THREAD_POINTER,
    TI_PID_LEVEL,
    TI_PID_NUMBERS,
    TI_UPID_NUMBER,
    TI_UPID_SIZE,
    TI_SIGNAL_THREADS,
    TI_TASK_SIGNAL_HANDLERS,
    TI_SIGNAL_HANDLERS_ACTIONS,
    TI_ACTION_SIZE,
    TI_ACTION_HANDLER,
    TI_ACTION_FLAGS,
    TI_REGISTERS_SIZE,
    TI_ITERATOR_FUNCTION,
    TI_BPF_NUMBERS,
};

struct ti_bpf_layout {
    int64_t numbers[TI_BPF_NUMBERS]; /* -1: this kernel has no such thing */
};

/* What a number is called outside: "task_struct.sas_ss_sp", "sizeof.pt_regs", "function.bpf_iter_task" … */
const char *ti_bpf_number_name(enum ti_bpf_number number);
/* False where a kernel may do without it: a program can still be made. */
bool ti_bpf_number_is_needed(enum ti_bpf_number number);

/* Fills `layout` from BTF. 0 or -errno (see ti_btf_open); -ENODATA with the number this kernel lacks in *missing. */
int ti_bpf_layout_read(struct ti_bpf_layout *layout, const char *path, enum ti_bpf_number *missing);

#endif
