"""What does each thread wait for: a lock, a condition, another thread's end, or just a system call?

The call stack tells which of pthread's waits a futex belongs to; without one it stays "futex". The owner is read from the lock itself
where its layout is fixed by the ABI (glibc's and musl's pthread_mutex_t), never concluded.
"""

from __future__ import annotations

from collections.abc import Mapping

from tinspect.analyses.context import Context
from tinspect.analyses.descriptor_index import DescriptorIndex
from tinspect.analyses.syscalls import describe_syscall, find_syscall, is_futex_wait, is_shared_futex, syscall_name
from tinspect.arch import Architecture
from tinspect.errors import MemoryUnreadable
from tinspect.model.frame import CallStack
from tinspect.model.lock import Waiter, WaitKind
from tinspect.model.scope import RuntimeThread
from tinspect.model.source import Source
from tinspect.model.thread import SyscallState, Thread
from tinspect.target.memory import read_uint32
from tinspect.target.plan import CapturePlan

# Functions of libc that wait on a futex for a reason a reader knows by name.
_CONDITION = ("pthread_cond_", "__pthread_cond_", "__private_cond_")
_JOIN = (
    "pthread_join",
    "__pthread_join",
    "__pthread_clockjoin",
    "pthread_timedjoin",
    "__pthread_timedjoin",
    "thrd_join",
)
_MUTEX = ("pthread_mutex_", "__pthread_mutex_", "___pthread_mutex_")
_FRAMES_LOOKED_AT = 6

# Where the owner's tid lies, from the futex word on, and its bits: glibc {lock 0, count 4, owner 8}; musl keeps it in the lock word
# itself, but writes EBUSY there for a lock of the normal type, which records no owner (musl src/thread/pthread_mutex_trylock.c).
_OWNER = {"glibc": (8, 0xFFFFFFFF), "musl": (0, 0x3FFFFFFF)}
# Where the futex word lies in a pthread_mutex_t: musl's _m_lock is __vi[1] (src/internal/pthread_impl.h), glibc's __lock comes first.
_LOCK_WORD = {"glibc": 0, "musl": 4}
_MUSL_NORMAL = 16
_LOCK_BYTES = 64  # more than either pthread_mutex_t (40)

# Waits whose address in the registry is that of an object with the futex word in it; all are smaller (tinspect/sync.h).
_OBJECTS = frozenset({"mutex", "rwlock read", "rwlock write", "condvar", "once", "barrier", "reentrant"})
_OBJECT_BYTES = 256


def plan_capture(architecture: Architecture) -> CapturePlan:
    """The words around the futex that a thread may wait on: they tell who holds the lock."""
    return CapturePlan(register_pointers=((architecture.syscall_arguments[0], 0, _LOCK_BYTES),))


def analyze(context: Context, registry: Mapping[int, RuntimeThread] | None = None) -> dict[int, Waiter]:
    """What every waiting thread waits for, by tid. Threads that run user code are missing."""
    found = {}
    descriptors = DescriptorIndex(context.libc_threads.descriptors.values())
    # A lock knows its owner by the id it has in its own pid namespace.
    tids = {thread.namespace_tid or thread.tid: thread.tid for thread in context.snapshot.threads}
    for thread in context.snapshot.threads:
        state = find_syscall(thread, context.snapshot.architecture, context.snapshot.memory)
        if state is None:
            continue
        waiter = _from_registry(context, (registry or {}).get(thread.tid), state)
        found[thread.tid] = waiter or _wait_of(context, descriptors, tids, thread, state)
    return found


def _wait_of(
    context: Context, descriptors: DescriptorIndex, tids: Mapping[int, int], thread: Thread, state: SyscallState
) -> Waiter:
    architecture = context.snapshot.architecture
    name, words = syscall_name(state.number, architecture), describe_syscall(state, architecture)
    source = Source.KERNEL if thread.syscall is not None else Source.REGISTERS
    if not is_futex_wait(state, architecture):
        return Waiter(WaitKind.SYSCALL, source, None, None, name, words)
    address = state.arguments[0]
    # pthread_join waits for a word in the other thread's descriptor. glibc's joins are its only waits there that are not private to the
    # process: the word was the kernel's to clear (clone(2), CLONE_CHILD_CLEARTID) up to glibc 2.42; it is waited for alike since.
    described = descriptors.find(address)
    if described is not None and described.tid != thread.tid and is_shared_futex(state):
        return Waiter(WaitKind.JOIN, source, address, described.tid, name, words)
    kind = _futex_kind(context.call_stacks.get(thread.tid))
    if kind is WaitKind.FUTEX:
        return Waiter(kind, source, address, None, name, words)
    if kind is WaitKind.JOIN:
        return Waiter(kind, Source.UNWIND, address, described.tid if described is not None else None, name, words)
    owner = _lock_owner(context, address) if kind is WaitKind.MUTEX else None
    if kind is WaitKind.MUTEX and context.libc is not None:
        address -= _LOCK_WORD.get(context.libc.info.name or "", 0)
    return Waiter(kind, Source.UNWIND, address, tids.get(owner) if owner is not None else None, name, words)


def _futex_kind(call_stack: CallStack | None) -> WaitKind:
    for frame in call_stack.frames[:_FRAMES_LOOKED_AT] if call_stack else ():
        function = frame.function or ""
        if function.startswith(_CONDITION):
            return WaitKind.CONDVAR
        if function.startswith(_JOIN):
            return WaitKind.JOIN
        if function.startswith(_MUTEX):
            return WaitKind.MUTEX
    return WaitKind.FUTEX


def _lock_owner(context: Context, address: int) -> int | None:
    """The tid that the lock at ``address`` names, where its memory was captured."""
    if context.libc is None:
        return None
    offset, mask = _OWNER.get(context.libc.info.name or "", (0, 0))
    try:
        owner = read_uint32(context.snapshot.memory, address + offset) & mask
    except MemoryUnreadable:
        return None
    return None if context.libc.info.name == "musl" and owner == _MUSL_NORMAL else owner


def _from_registry(context: Context, runtime: RuntimeThread | None, state: SyscallState) -> Waiter | None:
    if runtime is None or runtime.waits_kind is None:
        return None
    architecture = context.snapshot.architecture
    if not context.snapshot.stood_still and not _is_same_wait(runtime, state, architecture):
        return None
    kinds = {"mutex": WaitKind.MUTEX, "condvar": WaitKind.CONDVAR, "join": WaitKind.JOIN}
    return Waiter(
        kinds.get(runtime.waits_kind, WaitKind.FUTEX),
        Source.REGISTRY,
        runtime.waits_address or (state.arguments[0] if is_futex_wait(state, architecture) else None),
        runtime.waits_owner_tid,
        syscall_name(state.number, architecture),
        describe_syscall(state, architecture),
    )


def _is_same_wait(runtime: RuntimeThread, state: SyscallState, architecture: Architecture) -> bool:
    """Whether the registry speaks of the wait that the registers show. Where threads ran meanwhile it may tell of a later one."""
    if runtime.waits_kind not in _OBJECTS or runtime.waits_address is None:
        return True
    distance = state.arguments[0] - runtime.waits_address
    return is_futex_wait(state, architecture) and 0 <= distance < _OBJECT_BYTES
