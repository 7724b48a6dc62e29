/*
 * Why a thread survives the death of its tracer at any instant (SIGKILL, and so everything else): the order of steps.
 *
 * 1. The image goes into memory below the red zone, where the thread itself has nothing. Death here changes nothing.
 * 2. One PTRACE_SETREGSET points the thread at it; the kernel does it whole or not at all. From here on the thread
 * needs nobody: let go, it runs the call and returns to where it was, by the image (inject_image.h).
 * 3. Only then all signals are blocked, for a frame: its return restores the mask. A chain cannot, so for it they stay
 *    open, and a signal that comes first is left to the thread, with its own registers back.
 * 4. Two system-call stops, on entry and exit, bring the answer. No single step: its trap flag would outlive us.
 * 5. The mask comes back before the registers: in between, the image would still restore both.
 * 6. One PTRACE_SETREGSET puts the registers back, and only then the memory, which now is nobody's again.
 *
 * In step 6 the thread is in a system-call exit stop with an interrupted call's result in rax. PTRACE_DETACH, and our
 * death as well, wake it by way of the signal code, which restarts that call; PTRACE_CONT would not. So the thread
 * stays stopped until it is released.
 */
#ifdef __x86_64__
#define _GNU_SOURCE
#include "inject_turn.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { SYSCALL_STOP = SIGTRAP | 0x80 };

static struct ti_refusal failure(int error, const char *why)
{
    return (struct ti_refusal){error, why};
}

static struct ti_refusal ended(void)
{
    return failure(ESRCH, "the thread has ended");
}

static bool set_registers(pid_t tid, const struct user_regs_struct *registers)
{
    struct iovec vector = {(void *)registers, sizeof *registers};
    return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &vector) == 0;
}

/* Its registers as they are now: the stop may have changed rax (restart.h). */
static struct ti_refusal read_state(struct ti_turn *turn, struct ti_turn_tools *tools)
{
    pid_t tid = turn->request->tid;
    struct iovec registers = {&turn->registers, sizeof turn->registers};
    struct iovec xsave = {tools->xsave.bytes, sizeof tools->xsave.bytes};
    if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &registers) != 0) {
        return ended();
    }
    turn->framed = (int64_t)turn->registers.orig_rax < 0;
    if (!turn->framed) {
        return ti_arch_is_at_syscall(tid, &turn->registers)
                   ? failure(0, NULL)
                   : failure(EOPNOTSUPP, "it is in a system call that was not made by `syscall`");
    }
    if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &xsave) != 0 ||
        ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof turn->blocked_signals, &turn->blocked_signals) != 0) {
        return failure(errno, "its processor state cannot be read");
    }
    tools->xsave.size = xsave.iov_len;
    struct ti_refusal refusal = ti_inject_check_place(&tools->memory, tools->gadgets, &turn->registers);
    return refusal.why ? refusal : ti_inject_check_sequence(&tools->memory, tid, turn->registers.rip);
}

static struct ti_refusal make_image(struct ti_turn *turn, struct ti_turn_tools *tools)
{
    struct ti_image *image = &tools->image;
    if (!turn->framed) {
        ti_image_make_chain(image, &turn->registers, tools->gadgets);
    } else if (!ti_image_make_frame(image, &turn->registers, turn->blocked_signals, &tools->xsave, tools->gadgets)) {
        return failure(EOPNOTSUPP, "its processor state has a shape we don't know");
    }
    turn->image_address = image->address;
    turn->image_size = image->size;
    turn->answer = image->answer;
    return ti_inject_check_room(turn->request, &tools->memory, image, turn->registers.rsp);
}

/* Steps 1 to 3. */
static struct ti_refusal send_off(struct ti_turn *turn, const struct ti_turn_tools *tools)
{
    pid_t tid = turn->request->tid;
    const struct ti_image *image = &tools->image;
    if (!ti_inject_memory_read(&tools->memory, image->address, turn->overwritten, image->size)) {
        return failure(EFAULT, "its stack cannot be read");
    }
    if (ptrace(PTRACE_SETOPTIONS, tid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC)) != 0) {
        return ended();
    }
    if (!ti_inject_memory_write(&tools->memory, image->address, image->bytes, image->size)) {
        /* What was written of it, if anything. */
        ti_inject_memory_write(&tools->memory, image->address, turn->overwritten, image->size);
        return failure(EFAULT, "its stack cannot be written");
    }
    if (!set_registers(tid, &image->registers)) {
        return ended();
    }
    uint64_t all = UINT64_MAX;
    if (turn->framed) {
        ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof all, &all);
    }
    return failure(0, NULL);
}

/* Steps 5 and 6. */
static void bring_back(const struct ti_turn *turn, const struct ti_turn_tools *tools)
{
    pid_t tid = turn->request->tid;
    if (turn->framed) {
        ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof turn->blocked_signals, (void *)&turn->blocked_signals);
    }
    if (set_registers(tid, &turn->registers)) {
        ti_inject_memory_write(&tools->memory, turn->image_address, turn->overwritten, turn->image_size);
    }
}

/*
 * A signal that our own detour raised (a gadget that faults, a system call that is answered by SIGSYS) is not the
 * thread's: it is dropped. The kernel's own faults have a positive si_code, what processes send has not.
 */
static struct ti_refusal leave_to_signal(struct ti_turn *turn, int signal)
{
    siginfo_t info = {0};
    bool fault = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGTRAP || signal == SIGSYS;
    turn->thread->flags |= TI_THREAD_SIGNAL_DELIVERY; /* the release passes stop_signal on */
    if (fault && ptrace(PTRACE_GETSIGINFO, turn->request->tid, NULL, &info) == 0 && info.si_code > 0) {
        turn->thread->stop_signal = 0;
        return failure(EFAULT, "the injected call raised a signal, which was dropped");
    }
    turn->thread->stop_signal = signal;
    return failure(EAGAIN, "a signal came first");
}

/* A stop that is none of the call's. */
static struct ti_refusal give_way(struct ti_turn *turn, const struct ti_turn_tools *tools, int status)
{
    if (status >> 8 == PTRACE_EVENT_EXEC) {
        turn->thread->flags |= TI_THREAD_EXECED; /* another program now: nothing of the old thread belongs into it */
        return ended();
    }
    bring_back(turn, tools);
    return status >> 8 ? failure(EAGAIN, "job control came first") : leave_to_signal(turn, status);
}

/* Whether the stop is that of our call, with the expected result. */
static bool is_our_call(const struct ti_turn *turn, const struct ti_turn_tools *tools, struct user_regs_struct *seen)
{
    struct iovec vector = {seen, sizeof *seen};
    return ptrace(PTRACE_GETREGSET, turn->request->tid, (void *)NT_PRSTATUS, &vector) == 0 &&
           seen->orig_rax == SYS_sigaltstack && seen->rip == tools->gadgets->syscall_return + 2;
}

static struct ti_refusal read_answer(struct ti_turn *turn, const struct ti_turn_tools *tools)
{
    struct user_regs_struct seen;
    struct {
        uint64_t sp;
        uint32_t flags, padding;
        uint64_t size;
    } answer;
    if (!is_our_call(turn, tools, &seen)) {
        return failure(EPROTO, "another system call came first");
    }
    if (seen.rax != 0) {
        return failure(-(int)seen.rax, "sigaltstack failed");
    }
    if (!ti_inject_memory_read(&tools->memory, turn->answer, &answer, sizeof answer)) {
        return failure(EFAULT, "its stack cannot be read");
    }
    turn->request->sp = answer.sp;
    turn->request->size = answer.size;
    turn->request->flags = (int)answer.flags;
    return failure(0, NULL);
}

static void end(struct ti_turn *turn, struct ti_refusal refusal)
{
    turn->stage = TI_TURN_OVER;
    turn->request->error = refusal.why ? refusal.error : 0;
    turn->request->why = refusal.why;
}

/* Lets the thread run to its next system-call stop. */
static void run_to(struct ti_turn *turn, enum ti_turn_stage stage)
{
    turn->stage = stage;
    if (ptrace(PTRACE_SYSCALL, turn->request->tid, NULL, NULL) != 0) {
        end(turn, ended());
    }
}

static struct ti_refusal check_stopped(const struct ti_thread *thread)
{
    if (!thread) {
        return ended();
    }
    if (!(thread->flags & TI_THREAD_STOPPED)) {
        return thread->error == EPERM       ? failure(EPERM, "it may not be traced, or is traced already")
               : thread->error == ETIMEDOUT ? failure(ETIMEDOUT, "it did not come to a stop in time")
                                            : ended();
    }
    if (thread->flags & TI_THREAD_FOREIGN_ABI) {
        return failure(EOPNOTSUPP, "it is not in 64-bit code");
    }
    if (thread->flags & TI_THREAD_GROUP_STOP) {
        return failure(EOPNOTSUPP, "job control has stopped it");
    }
    if (thread->flags & (TI_THREAD_SIGNAL_DELIVERY | TI_THREAD_EXECED)) {
        return failure(EAGAIN, "a signal came first");
    }
    return failure(0, NULL);
}

void ti_turn_begin(struct ti_turn *turn, struct ti_turn_tools *tools)
{
    struct ti_refusal refusal = check_stopped(turn->thread);
    if (!refusal.why) {
        refusal = read_state(turn, tools);
    }
    if (!refusal.why) {
        refusal = ti_inject_check_thread(tools->pid, turn->request->tid, &turn->registers);
    }
    if (!refusal.why) {
        refusal = make_image(turn, tools);
    }
    if (!refusal.why) {
        refusal = send_off(turn, tools);
    }
    if (refusal.why) {
        end(turn, refusal);
    } else {
        run_to(turn, TI_TURN_ENTERING);
    }
}

bool ti_turn_advance(struct ti_turn *turn, struct ti_turn_tools *tools)
{
    siginfo_t info = {0};
    /* WNOWAIT as in stop.c: a signal that comes in between must outlive us. */
    int result = waitid(P_PID, (id_t)turn->request->tid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);
    if (result == 0 && info.si_pid == 0) {
        return false;
    }
    if (result != 0 || info.si_code != CLD_TRAPPED) {
        end(turn, ended());
    } else if (info.si_status != SYSCALL_STOP) {
        end(turn, give_way(turn, tools, info.si_status));
    } else if (turn->stage == TI_TURN_ENTERING) {
        run_to(turn, TI_TURN_LEAVING);
    } else {
        struct ti_refusal refusal = read_answer(turn, tools);
        bring_back(turn, tools);
        end(turn, refusal);
    }
    return true;
}

void ti_turn_abandon(struct ti_turn *turn)
{
    turn->thread->flags &= ~(uint32_t)TI_THREAD_STOPPED; /* so the release leaves it alone */
    end(turn, failure(ETIMEDOUT, "it did not come to run in time"));
}
#endif
