#ifdef __x86_64__
#include "inject_image.h"

#include <asm/sigcontext.h>
#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>

/* include/linux/errno.h: results that make the kernel begin a system call anew; they never leave the kernel. */
enum {
    KERNEL_ERESTARTSYS = 512,
    KERNEL_ERESTARTNOINTR = 513,
    KERNEL_ERESTARTNOHAND = 514,
    KERNEL_ERESTART_RESTARTBLOCK = 516,
    SYSCALL_LENGTH = 2,
};

/* struct ucontext of the kernel (arch/x86/include/uapi/asm/ucontext.h, asm-generic/ucontext.h); libc's is larger. */
struct kernel_ucontext {
    uint64_t flags;
    uint64_t link;
    uint64_t stack_sp;
    uint32_t stack_flags;
    uint32_t stack_padding;
    uint64_t stack_size;
    struct sigcontext context;
    uint64_t blocked_signals;
};

struct signal_frame {
    uint64_t return_address;
    struct kernel_ucontext ucontext;
};

enum {
    FLAGS_ALL = 7, /* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
    INVALID_STACK_FLAGS = 0x7fffffff,
    LEGACY_BYTES = 512,
    XSAVE_LEAST = LEGACY_BYTES + 64,                                /* with its header */
    SOFTWARE_AT = LEGACY_BYTES - (int)sizeof(struct _fpx_sw_bytes), /* the bytes the hardware leaves to software */
    COMPONENTS = 63,
    X87_AND_SSE = 3,
};

struct chain {
    uint64_t pop_rdi, rdi;
    uint64_t pop_rsi, rsi;
    uint64_t pop_rax, rax;
    uint64_t return_far, rip;
};

/* Registers that make the call; the rest stay the thread's own. orig_rax -1: the kernel restarts nothing before it. */
static void aim(struct ti_image *image, const struct user_regs_struct *registers, const struct ti_gadgets *gadgets,
                uint64_t sp)
{
    image->registers = *registers;
    image->registers.rip = gadgets->syscall_return;
    image->registers.rsp = sp;
    image->registers.rax = SYS_sigaltstack;
    image->registers.orig_rax = UINT64_MAX;
    image->registers.rdi = 0;
    image->registers.rsi = image->answer;
}

/* What arch_do_signal_or_restart (arch/x86/kernel/signal.c) would make of rax and rip, had nobody interfered. */
static void resume_call(const struct user_regs_struct *registers, uint64_t *rax, uint64_t *rip)
{
    *rax = registers->rax;
    *rip = registers->rip;
    switch (-(int64_t)registers->rax) {
    case KERNEL_ERESTARTSYS:
    case KERNEL_ERESTARTNOINTR:
    case KERNEL_ERESTARTNOHAND:
        *rax = registers->orig_rax;
        *rip -= SYSCALL_LENGTH;
        break;
    case KERNEL_ERESTART_RESTARTBLOCK:
        *rax = SYS_restart_syscall;
        *rip -= SYSCALL_LENGTH;
        break;
    default:
        break;
    }
}

void ti_image_make_chain(struct ti_image *image, const struct user_regs_struct *registers,
                         const struct ti_gadgets *gadgets)
{
    /* `ret N` at the chain's end leaves rsp at the chain's end plus N: that must be the thread's own rsp. */
    uint64_t end = registers->rsp - gadgets->return_far_dropped, start = end - sizeof(struct chain);
    struct chain chain = {
        .pop_rdi = gadgets->pop_rdi_return,
        .rdi = registers->rdi,
        .pop_rsi = gadgets->pop_rsi_return,
        .rsi = registers->rsi,
        .pop_rax = gadgets->pop_rax_return,
        .return_far = gadgets->return_far,
    };
    resume_call(registers, &chain.rax, &chain.rip);
    image->answer = image->address = start - 32;
    image->size = end - image->address;
    memset(image->bytes, 0, 32);
    memcpy(image->bytes + 32, &chain, sizeof chain);
    aim(image, registers, gadgets, start);
}

static uint64_t components_of(const uint8_t *xsave)
{
    uint64_t components;
    memcpy(&components, xsave + LEGACY_BYTES, sizeof components);
    return components;
}

/* The end of the highest component: a size that is not exactly this makes the kernel drop the state, in silence. */
static size_t xsave_end(uint64_t components)
{
    size_t end = XSAVE_LEAST;
    for (unsigned component = 2; component < COMPONENTS; component++) {
        unsigned size, offset, unused;
        if (!(components >> component & 1)) {
            continue;
        }
        if (!__get_cpuid_count(0xD, component, &size, &offset, &unused, &unused)) {
            return SIZE_MAX;
        }
        end = offset + size > end ? offset + size : end;
    }
    return end;
}

/* Writes the state as the kernel lays it on a stack (arch/x86/kernel/fpu/signal.c): its own words and the closing
 * magic. */
static void put_state(uint8_t *to, const struct ti_xsave *xsave, uint64_t components, size_t size)
{
    struct _fpx_sw_bytes software = {
        .magic1 = FP_XSTATE_MAGIC1,
        .extended_size = (uint32_t)(size + FP_XSTATE_MAGIC2_SIZE),
        .xfeatures = components,
        .xstate_size = (uint32_t)size,
    };
    uint32_t closing = FP_XSTATE_MAGIC2;
    memcpy(to, xsave->bytes, size);
    memcpy(to + SOFTWARE_AT, &software, sizeof software);
    memcpy(to + LEGACY_BYTES, &components, sizeof components);
    memcpy(to + size, &closing, sizeof closing);
}

static void put_registers(struct sigcontext *context, const struct user_regs_struct *registers, uint64_t state)
{
    *context = (struct sigcontext){
        .r8 = registers->r8,
        .r9 = registers->r9,
        .r10 = registers->r10,
        .r11 = registers->r11,
        .r12 = registers->r12,
        .r13 = registers->r13,
        .r14 = registers->r14,
        .r15 = registers->r15,
        .rdi = registers->rdi,
        .rsi = registers->rsi,
        .rbp = registers->rbp,
        .rbx = registers->rbx,
        .rdx = registers->rdx,
        .rax = registers->rax,
        .rcx = registers->rcx,
        .rsp = registers->rsp,
        .rip = registers->rip,
        .eflags = registers->eflags,
        .cs = (uint16_t)registers->cs,
        .ss = (uint16_t)registers->ss,
    };
    memcpy(&context->fpstate, &state, sizeof state); /* a pointer in the target */
}

bool ti_image_make_frame(struct ti_image *image, const struct user_regs_struct *registers, uint64_t blocked_signals,
                         const struct ti_xsave *xsave, const struct ti_gadgets *gadgets)
{
    uint64_t components = xsave->size >= XSAVE_LEAST ? components_of(xsave->bytes) | X87_AND_SSE : 0;
    size_t size = xsave_end(components);
    if (components == 0 || size > xsave->size || size > TI_XSAVE_BYTES) {
        return false;
    }
    uint64_t top = registers->rsp - TI_RED_ZONE;
    uint64_t state = (top - size - FP_XSTATE_MAGIC2_SIZE) & -64ULL;
    uint64_t frame = ((state - sizeof(struct signal_frame)) & -16ULL) - 8; /* as a call would leave the stack */
    image->address = frame;
    image->size = top - frame;
    if (image->size > sizeof image->bytes) {
        return false;
    }
    memset(image->bytes, 0, image->size);
    struct signal_frame *head = (struct signal_frame *)image->bytes;
    head->return_address = gadgets->signal_return;
    head->ucontext.flags = FLAGS_ALL;
    /* sigaltstack() overwrites this with what is true. If it never runs, an invalid value is refused, the alternate
     * stack stays, and rt_sigreturn goes on (restore_altstack in kernel/signal.c). */
    head->ucontext.stack_flags = INVALID_STACK_FLAGS;
    head->ucontext.blocked_signals = blocked_signals;
    put_registers(&head->ucontext.context, registers, state);
    put_state(image->bytes + (state - frame), xsave, components, size);
    image->answer = frame + offsetof(struct signal_frame, ucontext) + offsetof(struct kernel_ucontext, stack_sp);
    aim(image, registers, gadgets, frame);
    return true;
}
#endif
