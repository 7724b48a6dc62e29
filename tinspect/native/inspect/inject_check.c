#ifdef __x86_64__
#include "inject_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    USER_CS = 0x33,
    USER_SS = 0x2b,
    TRAP_FLAG = 1 << 8,
    SPARE_BYTES = 4096,  /* for what the kernel may push below the image, and for doubt about the bounds */
    STATUS_BYTES = 4096, /* /proc/PID/task/TID/status has some 1500 */
};

/* include/uapi/linux/ptrace.h; spelt here because the headers we build with may be older. */
#define GET_RSEQ ((enum __ptrace_request)0x420f)          /* PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13 */
#define GET_USER_DISPATCH ((enum __ptrace_request)0x4211) /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, Linux 6.4 */

static const struct ti_refusal NONE = {0, NULL};

static bool has_bytes(const struct ti_inject_memory *memory, uint64_t address, const char *bytes, size_t size)
{
    char seen[16];
    return ti_inject_memory_read(memory, address, seen, size) && memcmp(seen, bytes, size) == 0;
}

bool ti_inject_check_gadgets(const struct ti_inject_memory *memory, struct ti_gadgets *gadgets)
{
    uint8_t far[3];
    if (!ti_inject_memory_read(memory, gadgets->return_far, far, sizeof far) || far[0] != 0xc2) {
        return false;
    }
    gadgets->return_far_dropped = (uint16_t)(far[1] | far[2] << 8);
    return gadgets->return_far_dropped >= TI_RED_ZONE && gadgets->return_far_dropped <= TI_RETURN_FAR_MOST &&
           gadgets->return_far_dropped % 8 == 0 && has_bytes(memory, gadgets->syscall_return, "\x0f\x05\xc3", 3) &&
           has_bytes(memory, gadgets->pop_rdi_return, "\x5f\xc3", 2) &&
           has_bytes(memory, gadgets->pop_rsi_return, "\x5e\xc3", 2) &&
           has_bytes(memory, gadgets->pop_rax_return, "\x58\xc3", 2) &&
           has_bytes(memory, gadgets->signal_return, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05", 9);
}

/* Reads /proc/PID/task/TID/status; false when the thread is gone. */
static bool read_status(pid_t pid, pid_t tid, char status[STATUS_BYTES])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, status, STATUS_BYTES - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    status[got > 0 ? got : 0] = 0;
    return got > 0;
}

static struct ti_refusal check_status(pid_t pid, pid_t tid)
{
    char status[STATUS_BYTES];
    if (!read_status(pid, tid, status)) {
        return (struct ti_refusal){ESRCH, "the thread has ended"};
    }
    /* A name may hold anything but a newline: what begins a line is the kernel's. */
    const char *seccomp = strstr(status, "\nSeccomp:\t"), *features = strstr(status, "\nx86_Thread_features:\t");
    if (seccomp && seccomp[strlen("\nSeccomp:\t")] != '0') {
        return (struct ti_refusal){
            EPERM, "a seccomp filter watches its system calls, and may kill it for one it does not expect"};
    }
    if (features) {
        const char *end = strchr(features + 1, '\n'), *shadow = strstr(features, "shstk");
        if (shadow && (!end || shadow < end)) {
            return (struct ti_refusal){EOPNOTSUPP, "it has a shadow stack, which no return we arrange would match"};
        }
    }
    return NONE;
}

/* Before Linux 6.4 nobody can ask; a thread that dispatches then answers the call by SIGSYS, which we take back. */
static bool dispatches_to_user(pid_t tid)
{
    struct {
        uint64_t mode, selector, offset, length;
    } dispatch = {0};
    return ptrace(GET_USER_DISPATCH, tid, (void *)sizeof dispatch, &dispatch) == 0 && dispatch.mode != 0;
}

struct ti_refusal ti_inject_check_thread(pid_t pid, pid_t tid, const struct user_regs_struct *registers)
{
    if (registers->cs != USER_CS || registers->ss != USER_SS) {
        return (struct ti_refusal){EOPNOTSUPP, "it is not in 64-bit code"};
    }
    if (registers->eflags & TRAP_FLAG) {
        return (struct ti_refusal){EAGAIN, "it single-steps itself"};
    }
    if (dispatches_to_user(tid)) {
        return (struct ti_refusal){EPERM, "it handles its system calls itself (syscall user dispatch)"};
    }
    return check_status(pid, tid);
}

struct ti_refusal ti_inject_check_sequence(const struct ti_inject_memory *memory, pid_t tid, uint64_t pc)
{
    struct {
        uint64_t area;
        uint32_t size, signature, flags, padding;
    } configuration = {0};
    struct {
        uint32_t version, flags;
        uint64_t start, length, abort;
    } section;
    if (ptrace(GET_RSEQ, tid, (void *)sizeof configuration, &configuration) < 0) {
        return (struct ti_refusal){EOPNOTSUPP, "this kernel does not tell its restartable sequences (Linux 5.13 does)"};
    }
    uint64_t pointer = 0;
    if (configuration.area == 0) {
        return NONE;
    }
    /* struct rseq (include/uapi/linux/rseq.h): the pointer to the section is at 8; null outside of all sections. */
    if (!ti_inject_memory_read(memory, configuration.area + 8, &pointer, sizeof pointer)) {
        return (struct ti_refusal){EFAULT, "its restartable sequence cannot be read"};
    }
    if (pointer == 0) {
        return NONE;
    }
    if (!ti_inject_memory_read(memory, pointer, &section, sizeof section) || pc - section.start < section.length) {
        return (struct ti_refusal){EAGAIN, "it is within a restartable sequence"};
    }
    return NONE;
}

struct ti_refusal ti_inject_check_place(const struct ti_inject_memory *memory, const struct ti_gadgets *gadgets,
                                        const struct user_regs_struct *registers)
{
    const struct ti_range gadget_code[] = {
        {gadgets->syscall_return, gadgets->syscall_return + 3}, {gadgets->pop_rdi_return, gadgets->pop_rdi_return + 2},
        {gadgets->pop_rsi_return, gadgets->pop_rsi_return + 2}, {gadgets->pop_rax_return, gadgets->pop_rax_return + 2},
        {gadgets->return_far, gadgets->return_far + 3},         {gadgets->signal_return, gadgets->signal_return + 9},
    };
    for (size_t index = 0; index < sizeof gadget_code / sizeof *gadget_code; index++) {
        if (gadget_code[index].low <= registers->rip && registers->rip < gadget_code[index].high) {
            return (struct ti_refusal){EAGAIN, "it is coming back from an earlier call of ours"};
        }
    }
    if (registers->rax == SYS_restart_syscall && has_bytes(memory, registers->rip, "\x0f\x05", 2)) {
        return (struct ti_refusal){EAGAIN, "it is about to resume an interrupted call"};
    }
    return NONE;
}

struct ti_refusal ti_inject_check_room(const struct ti_inject_request *request, const struct ti_inject_memory *memory,
                                       const struct ti_image *image, uint64_t sp)
{
    if (sp <= request->stack_low || sp > request->stack_high) {
        return (struct ti_refusal){EOPNOTSUPP, "it is not on its own stack"};
    }
    uint64_t low = image->address - SPARE_BYTES;
    if (low < request->stack_low || low >= sp || !ti_inject_memory_is_writable(memory, low, sp)) {
        return (struct ti_refusal){ENOSPC, "there is no room left on its stack"};
    }
    return NONE;
}
#endif
