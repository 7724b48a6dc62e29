/*
 * What a thread needs to run sigaltstack(NULL, …) and then, by itself, be where and what it was before: memory below
 * its red zone, and registers. Nothing here touches the target.
 */
#ifndef TI_INJECT_IMAGE_H
#define TI_INJECT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

/* Where the target's libc keeps these instructions; each is checked before use. */
struct ti_gadgets {
    uint64_t syscall_return;     /* syscall; ret */
    uint64_t pop_rdi_return;     /* pop rdi; ret */
    uint64_t pop_rsi_return;     /* pop rsi; ret */
    uint64_t pop_rax_return;     /* pop rax; ret */
    uint64_t return_far;         /* ret N, which drops N more bytes: RED_ZONE <= N, a multiple of 8 */
    uint64_t signal_return;      /* mov rax, 15; syscall: what signal handlers return to */
    uint16_t return_far_dropped; /* that N */
};

enum {
    TI_RED_ZONE = 128,            /* System V ABI, x86-64: a leaf function's own, below rsp */
    TI_XSAVE_BYTES = 16 << 10,    /* AMX's is the largest, 11 KiB */
    TI_IMAGE_BYTES = 20 << 10,    /* frame, xsave image and alignment */
    TI_RETURN_FAR_MOST = 4 << 10, /* the largest N that is any use */
};

/* The thread's processor state in the XSAVE layout, as PTRACE_GETREGSET NT_X86_XSTATE gives it. */
struct ti_xsave {
    uint8_t bytes[TI_XSAVE_BYTES];
    size_t size;
};

struct ti_image {
    uint64_t address; /* of bytes[0] in the target */
    size_t size;
    uint64_t answer; /* where the kernel will write the stack_t */
    struct user_regs_struct registers;
    uint8_t bytes[TI_IMAGE_BYTES] __attribute__((aligned(64)));
};

/*
 * For a thread stopped in a system call: a chain of returns. The kernel's restart block, which any signal return would
 * drop, survives it, so the interrupted call goes on where it was: no EINTR.
 */
void ti_image_make_chain(struct ti_image *image, const struct user_regs_struct *registers,
                         const struct ti_gadgets *gadgets);

/*
 * For a thread stopped in its own code, where every register counts: a signal frame that rt_sigreturn restores all
 * from. False when the state is larger than we have room for, or of a shape we don't know.
 */
bool ti_image_make_frame(struct ti_image *image, const struct user_regs_struct *registers, uint64_t blocked_signals,
                         const struct ti_xsave *xsave, const struct ti_gadgets *gadgets);

#endif
