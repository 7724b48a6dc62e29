/* The program that the kernel runs for each thread of a process: made instruction by instruction, without a compiler.
 */
#ifndef TI_BPF_PROGRAM_H
#define TI_BPF_PROGRAM_H

#include <linux/bpf.h>
#include <sys/types.h>

#include "bpf_layout.h"

/*
 * What the program writes for each thread; if has_registers, the kernel's struct pt_regs follows. The members that tell
 * whether a thread has run come first, and are read in this order: a thread off the CPU in two iterations, with equal
 * counts, has not run in between, and its registers are those of the whole time.
 */
struct ti_bpf_record {
    uint32_t tid; /* in the reader's pid namespace */
    uint32_t on_cpu;
    uint64_t voluntary_switches;
    uint64_t involuntary_switches;
    uint64_t altstack_sp;
    uint64_t altstack_size;
    uint32_t altstack_flags;
    uint32_t threads; /* of the process, as the kernel counts them */
    uint64_t thread_pointer;
    uint64_t has_registers;
};

enum {
    TI_BPF_STACK = 512, /* MAX_BPF_STACK, include/linux/filter.h */
    TI_BPF_SCRATCH = 16,
    TI_BPF_MOST_REGISTERS = TI_BPF_STACK - TI_BPF_SCRATCH - (int)sizeof(struct ti_bpf_record),
    TI_BPF_MOST_INSTRUCTIONS = 192,
    TI_SIGNALS = 64,         /* _NSIG */
    TI_BPF_MOST_ACTION = 32, /* bytes of a struct k_sigaction */
};

struct ti_bpf_program {
    struct bpf_insn code[TI_BPF_MOST_INSTRUCTIONS];
    size_t count;
};

/* `pid` is the process in the pid namespace of whoever reads the iterator. Needs sizeof.pt_regs <=
 * TI_BPF_MOST_REGISTERS. */
void ti_bpf_program_make(struct ti_bpf_program *program, const struct ti_bpf_layout *layout, pid_t pid, bool registers);

/* Another one: writes the actions of all signals, TI_SIGNALS of the kernel's struct k_sigaction (signal 1 first), once
 * for the process. What cannot be read ends the output. Needs sizeof.k_sigaction <= TI_BPF_MOST_ACTION. */
void ti_bpf_actions_program_make(struct ti_bpf_program *program, const struct ti_bpf_layout *layout, pid_t pid);

#endif
