"""Stops, reads and scans another process. Hands over ints, bytes and tuples; imports nothing of tinspect."""

from collections.abc import Sequence
from typing import Final

from typing_extensions import Buffer

THREAD_STOPPED: Final[int]
"""Flag of capture()'s threads: it was stopped, its registers are known."""
THREAD_SIGNAL_DELIVERY: Final[int]
"""It was about to take `stop_signal`, and took it when the stop was over."""
THREAD_GROUP_STOP: Final[int]
"""It was stopped by job control (`stop_signal` is SIGSTOP, SIGTSTP …), and stays so."""
THREAD_EXECED: Final[int]
"""It called execve during the attach: the memory is another program's than the one planned for."""
THREAD_INTERRUPTED: Final[int]
"""The stop made its system call return EINTR (the registers show the result -4)."""
THREAD_RESTARTED: Final[int]
"""That EINTR was undone: the kernel begins the system call anew, its timeout too."""
THREAD_FOREIGN_ABI: Final[int]
"""32-bit registers: `registers` has another size and layout, and no memory was copied for it."""
THREAD_ZOMBIE: Final[int]
"""It had ended before the stop: the leader of a process that goes on without it. `error` is ESRCH."""

def capture(
    pid: int,
    *,
    fixed: Sequence[tuple[int, int]] = (),
    thread_relative: Sequence[tuple[int, int]] = (),
    thread_tables: Sequence[
        tuple[int, int, int] | tuple[int, int, int, int] | tuple[int, int, int, int, Sequence[tuple[int, int]]]
    ] = (),
    lists: Sequence[tuple[int, int, int, int, int]] = (),
    thread_chains: Sequence[tuple[int, int, int, int, int]] = (),
    register_pointers: Sequence[tuple[int, int, int]] = (),
    stack_rule: tuple[int, int, int] | None = None,
    mappings: Sequence[tuple[int, int]] = (),
    red_zone: int = 128,
    stack_cap: int = 8388608,
    total_cap: int = 1073741824,
    tids: Sequence[int] | None = None,
    undo_restart: bool = True,
    timeout_ms: int = 2000,
    vectors: bool = False,
) -> tuple[
    int,
    int,
    tuple[tuple[int, int, bytes, int, int, int, bytes], ...],
    tuple[tuple[int, bytes], ...],
    tuple[tuple[str, int, int], ...],
]:
    """Stops every thread of a process once, copies registers and memory, and lets it go: ptrace(2), PTRACE_SEIZE.

    What is copied (addresses and sizes in bytes; `tp` is a thread's thread pointer):

    - `fixed`: (address, size).
    - `thread_relative`: (offset, size), at tp + offset of every thread.
    - `thread_tables`: (offset, count, size) or (offset, count, before, size): `count` pointers at tp + offset, and of each
      that is not null [pointer - before, pointer + size). A fifth item, `inner`, holds (offset, size) pairs: the word at
      pointer + offset leads to `size` bytes more.
    - `lists`: (head, link_offset, record_offset, record_size, limit): a circular list whose nodes begin with the pointer to
      the next; of every node [node - link_offset + record_offset, + record_size), and the nodes' two links.
    - `thread_chains`: (offset, record_offset, record_size, next_offset, limit): a list that begins with the pointer at tp +
      offset; of every node [node + record_offset, + record_size), and the word at node + next_offset leads on until null.
    - `register_pointers`: (byte offset of a register in `registers`, before, size): [value - before, value + size) of every
      thread, where the target has touched it.
    - What cannot be read of `inner`, `thread_chains` and `register_pointers` is left out, and is no gap.
    - the live stack [sp - red_zone, top) of every thread. `top` is told by `stack_rule`, (offset_a, offset_b, kind): the words
      at tp + offset are, for kind 0, the lowest address and the size (glibc), for kind 1 the end and the size (musl). Where the
      rule does not hold sp, `top` is the end of the mapping that does (`mappings`: sorted (low, high), read before the stop),
      only touched pages are copied, and of the thread's own stack the touched pages too. The never touched part of a large
      live stack (over 64 KiB) is not copied either: nothing is in it.
    - `stack_cap` bounds one stack, `total_cap` everything.

    Returns (pause_ns, bytes_copied, threads, segments, gaps):

    - `pause_ns`: from before the first thread was seized until after the last was released.
    - threads, sorted by tid: (tid, flags, registers, thread_pointer, stop_signal, error, vectors). `registers` is laid out as pr_reg of
      NT_PRSTATUS, and empty when the thread could not be stopped; `error` is then the errno: ESRCH it ended, EPERM it
      is traced by another, ETIMEDOUT it did not come to a stop (in uninterruptible sleep for some 100 ms, as a parent in
      vfork, or not within `timeout_ms`). With `vectors`, the last holds its floating-point and vector registers: x86-64 the
      NT_X86_XSTATE of ptrace(2), or the 512 bytes of NT_PRFPREG where there is no XSAVE; aarch64 NT_PRFPREG; else nothing.
    - segments, sorted, disjoint and not touching: (address, bytes).
    - gaps: ("memory", address, size) cannot be read; ("late", address, size) not read within another `timeout_ms`; ("cap",
      address, size) beyond total_cap; ("stack", tid, bytes left out by a cap; 0: no stack found); ("list", head, nodes seen)
      the list broke off, looped or reached its limit.

    `tids` stops these threads alone: the others run on and may change what is read. `undo_restart` makes a system call that the
    stop interrupted begin anew (x86-64; never where a signal or job control did it). Signals that come during the stop are
    delivered after it, and a target stopped by job control stays stopped. Whatever ends this call, SIGKILL included, releases the
    target. Python signal handlers run meanwhile; an exception of theirs (KeyboardInterrupt) gives the capture up.

    Raises OSError: ESRCH no such process, or none but zombies; EPERM it may not be traced, is traced already, or is this
    very process; ETIMEDOUT no thread came to a stop; ENOMEM. ValueError, TypeError, OverflowError for wrong arguments.
    """

def vector_components() -> tuple[tuple[int, int, int], ...]:
    """The components of this processor's XSAVE area beyond the FXSAVE area, the form of capture()'s `vectors` on x86-64: (number,
    offset, size), in bytes. Empty on other architectures and without XSAVE. Source: CPUID leaf 0Dh (Intel SDM, volume 2).
    """

def read_memory(pid: int, address: int, size: int, /) -> bytes:
    """The bytes of [address, address + size) of a process that runs on.

    Raises OSError: EFAULT when not all of it can be read, ESRCH when the process (or its memory) is gone, EPERM without
    the right to trace it (process_vm_readv(2), ptrace(2) "Ptrace access mode checking").
    """

def read_ranges(pid: int, ranges: Sequence[tuple[int, int]], /) -> tuple[bytes | None, ...]:
    """The bytes of each (address, size), None where not all of a range can be read. Raises OSError ESRCH or EPERM."""

def page_states(
    pid: int, ranges: Sequence[tuple[int, int]], *, use_ioctl: bool = True
) -> tuple[tuple[int, int, int], ...]:
    """Runs of pages in equal state within the (low, high) ranges, as (low, high, flags). Touches no page.

    Flags: 1 present, 2 swapped out, 4 guard (MADV_GUARD_INSTALL), 8 the shared zero page (told by the ioctl alone), 16
    of a file or shared memory, 32 swapped out or a guard (Linux 6.13 and 6.14 have guards and don't tell). A page in no
    run was never touched, or is not mapped. `pid` may be any living thread's id. Source: ioctl PAGEMAP_SCAN (Linux 6.7,
    guards 6.16) where it tells all, else /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst; guards 6.15).

    Raises OSError: ESRCH when the process is gone, EACCES or EPERM without the right to trace it, E2BIG beyond 2^21
    runs.
    """

def scan_process(
    pid: int,
    source_ranges: Sequence[tuple[int, int]],
    target_ranges: Sequence[tuple[int, int]],
    *,
    unaligned: bool = False,
    limit: int = 1048576,
    threads: int = 2,
    portable: bool = False,
) -> tuple[bytes, int, tuple[tuple[int, int], ...], int]:
    """Every 8-byte word in the source ranges whose value falls into a target range; all ranges are (low, high).

    Returns (words, further, unreadable, bytes_read). `words` packs (address, value) as two native uint64 each, in the
    order of the sources; beyond `limit` words the rest, `further`, is only counted. `unreadable` are the parts of the
    sources that could not be read, page by page. No word spans two sources; only words at multiples of 8 count unless
    `unaligned`. `portable` refuses vector code. The process is not stopped, and reading faults in what was never
    touched: pass what page_states calls present or swapped out. `pid` may be any living thread's id.

    Raises OSError: ESRCH when the process is gone, EPERM without the right to trace it (process_vm_readv(2)).
    """

def scan_bytes(
    buffer: Buffer,
    base_address: int,
    target_ranges: Sequence[tuple[int, int]],
    *,
    unaligned: bool = False,
    limit: int = 1048576,
    portable: bool = False,
) -> tuple[bytes, int]:
    """The same over bytes that the target keeps at `base_address`: (words, further)."""

def btf_offsets(path: str = "/sys/kernel/btf/vmlinux") -> tuple[tuple[str, int], ...]:
    """What bpf_tasks needs to know of this kernel: (name, number) pairs, offsets and sizes in bytes.

    Parsing takes some milliseconds; the numbers hold until another kernel is booted, and may be kept as JSON under a
    name that no other kernel has: the build id in /sys/kernel/notes (a release may be built more than once).

    Raises OSError: ENOENT when the kernel offers no BTF, EBADMSG when the file isn't BTF, ENODATA when it lacks a type.
    Source: Documentation/bpf/btf.rst.
    """

def bpf_tasks(
    pid: int, offsets: dict[str, int], want_registers: bool, /
) -> tuple[tuple[int, int, int, int, int, int, bool, int | None, bytes | None], ...]:
    """Every thread of process `pid`, by a BPF task iterator. Stops nothing, injects nothing.

    (tid, altstack sp, altstack size, altstack flags, voluntary switches, involuntary switches, on_cpu, thread pointer,
    registers). All tids are those of the caller's pid namespace. The flags are the kernel's own: 2 (SS_DISABLE) without
    an alternate stack, 0x80000000 SS_AUTODISARM; SS_ONSTACK is never among them, as the kernel works it out from sp.
    Registers are the kernel's struct pt_regs (x86-64: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi
    orig_rax rip cs eflags rsp ss; of cs and ss only the low 16 bits count), None if not wanted and for kernel workers.

    Registers and thread pointer of a thread with on_cpu are stale. A thread off the CPU in two calls, with both counts
    unchanged, did not run in between: the first call's registers are exact for all that time.

    Raises OSError: EPERM without root or CAP_BPF and CAP_PERFMON, ESRCH when there is no such process, EINVAL with the
    verifier's words when the kernel refuses the program (it needs 5.11, 5.15 with registers); KeyError and ValueError
    for wrong `offsets`. Before Linux 6.1 the kernel walks all threads of the machine for it.
    """

def bpf_signal_actions(pid: int, offsets: dict[str, int], /) -> tuple[tuple[int, int], ...]:
    """What process `pid` does on each signal, by a BPF task iterator: (handler, flags) of signals 1 to 64. Stops nothing.

    The handler is an address, 0 for SIG_DFL, 1 for SIG_IGN; the flags are SA_… as the kernel keeps them (sigaction(2)).
    Two reads in a row agreed on all of them. Source: the kernel's task->sighand->action[].

    Raises OSError like bpf_tasks; EAGAIN when they changed whenever they were read, ENODATA on a kernel whose types do
    not tell where they are.
    """

def inject_sigaltstack(
    pid: int,
    threads: Sequence[tuple[int, int, int]],
    gadgets: Sequence[int],
    *,
    timeout_ms: int = 2000,
) -> tuple[tuple[int, int, int, int, int, str | None], ...]:
    """Ask threads for their alternate signal stacks: stop each, let it run sigaltstack(NULL, ...) once, let it go.

    `threads` are (tid, stack_low, stack_high): the stack that is the thread's to use. Some 3 to 16 KB below its sp are
    written and put back; a thread that is elsewhere (on an alternate stack, say), or has not that much and 4 KiB more
    above stack_low, is left alone. `gadgets` are the addresses tinspect.formats.gadgets.find_gadgets finds in libc.

    Returns for each (tid, sp, size, flags, error, why); flags as sigaltstack(2) gives them: SS_ONSTACK 1, SS_DISABLE 2.
    Error 0 and why None with an answer, else an errno and the reason in words: EPERM (a seccomp filter, syscall user
    dispatch, no right to trace), EOPNOTSUPP (shadow stack, 32-bit code, job control, not on its own stack), ENOSPC,
    EAGAIN (four times a signal came first, or a restartable sequence), ETIMEDOUT, ESRCH, EFAULT.

    Threads stand still in batches of 128. Whatever happens to this process, SIGKILL included, the threads go on as they
    were (inject_turn.c says why). x86-64 only.

    Raises OSError: EINVAL when a gadget isn't what it should be, ESRCH, EPERM, ENOSYS on other machines.
    """
