"""System calls in words: name and arguments of the call a thread waits in (tables: python-ptrace's prototypes)."""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.machinery import PathFinder
from types import ModuleType

from tinspect.arch import Architecture
from tinspect.errors import MemoryUnreadable
from tinspect.model.registers import RegisterSet
from tinspect.model.thread import SyscallState, Thread
from tinspect.target.memory import MemoryReader

# linux/futex.h.
_FUTEX_OPERATIONS = (
    "FUTEX_WAIT", "FUTEX_WAKE", "FUTEX_FD", "FUTEX_REQUEUE", "FUTEX_CMP_REQUEUE", "FUTEX_WAKE_OP", "FUTEX_LOCK_PI",
    "FUTEX_UNLOCK_PI", "FUTEX_TRYLOCK_PI", "FUTEX_WAIT_BITSET", "FUTEX_WAKE_BITSET", "FUTEX_WAIT_REQUEUE_PI",
    "FUTEX_CMP_REQUEUE_PI", "FUTEX_LOCK_PI2",
)  # fmt: skip
_FUTEX_COMMAND = 127
_NUMBER_LIMIT = 1024  # far more than there are calls
_ERROR_LIMIT = 4095  # MAX_ERRNO (linux/err.h)
_FUTEX_FLAGS = ((128, "FUTEX_PRIVATE_FLAG"), (256, "FUTEX_CLOCK_REALTIME"))


@cache
def _names(architecture: str) -> dict[int, str]:
    """Numbers to names; empty for an architecture python-ptrace has no table of."""
    module = _table("linux", architecture)
    return {} if module is None else module.SYSCALL_NAMES


@cache
def _prototypes() -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    module = _table("prototypes")
    return {} if module is None else module.SYSCALL_PROTOTYPES


def _table(*path: str) -> ModuleType | None:
    """A table of python-ptrace by itself: importing its package would load a whole debugger, ctypes and sockets with it (15 ms)."""
    spec = importlib.util.find_spec("ptrace")
    for name in ("syscall", *path):
        if spec is None:
            return None
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_syscall(thread: Thread, architecture: Architecture, memory: MemoryReader) -> SyscallState | None:
    """The call the thread stands in, by the kernel's word or by its registers; None when it runs user code, or when neither tells."""
    if thread.syscall is not None:
        return thread.syscall if thread.syscall.number >= 0 else None
    if thread.registers is None:
        return None
    if architecture.syscall_instruction is not None:
        return None if thread.signal else _call_at_pc(thread.registers, architecture, memory)
    number = thread.registers.get("orig_rax")
    if number is None or number >= 1 << 31:  # -1: the thread came into the kernel otherwise
        return None
    return _state(number, thread.registers, architecture)


def _call_at_pc(registers: RegisterSet, architecture: Architecture, memory: MemoryReader) -> SyscallState | None:
    """No register of the set tells that a thread is in the kernel: the instruction that leads there does, right before the pc, or
    at it where the kernel is about to restart the call (do_signal in arch/arm64/kernel/signal.c). A thread that died by a signal
    came from somewhere else, and an error in the first argument's register is the result of a call that has returned."""
    code, number = architecture.syscall_instruction or b"", registers.get(architecture.syscall_number)
    first = registers.get(architecture.syscall_arguments[0])
    if number is None or number >= _NUMBER_LIMIT or first is None or first >= (1 << 64) - _ERROR_LIMIT:
        return None
    for address in (registers.pc - len(code), registers.pc):
        try:
            if memory.read(address, len(code)) == code:
                return _state(number, registers, architecture)
        except (MemoryUnreadable, ValueError):
            continue
    return None


def _state(number: int, registers: RegisterSet, architecture: Architecture) -> SyscallState | None:
    """None where an argument is not known: /proc and remote stubs may tell no more than pc and sp."""
    arguments = [registers.get(name) for name in architecture.syscall_arguments]
    known = tuple(value for value in arguments if value is not None)
    return SyscallState(number, known) if len(known) == len(arguments) else None


def syscall_name(number: int, architecture: Architecture) -> str:
    """The name of a system call, or "syscall_N" for a number the tables don't have."""
    return _names(architecture.name).get(number, f"syscall_{number}")


def describe_syscall(state: SyscallState, architecture: Architecture) -> str:
    """The call as a C programmer would write it: ``futex(0x7f…, FUTEX_WAIT|FUTEX_PRIVATE_FLAG, 2, NULL)``."""
    name = syscall_name(state.number, architecture)
    if name not in _prototypes():
        return f"{name}({', '.join(hex(value) for value in state.arguments)})"
    shown = [
        _describe_argument(name, kind, word, value)
        for (kind, word), value in zip(_parameters(name, state), state.arguments, strict=False)
    ]
    return f"{name}({', '.join(shown)})"


def pointer_arguments(state: SyscallState, architecture: Architecture) -> frozenset[str]:
    """The names of the argument registers that hold pointers the kernel may use until the call returns."""
    name = syscall_name(state.number, architecture)
    parameters = _parameters(name, state)
    return frozenset(
        register
        for register, (kind, word) in zip(architecture.syscall_arguments, parameters, strict=False)
        if _is_pointer(kind, word)
    )


def _parameters(name: str, state: SyscallState) -> tuple[tuple[str, str], ...]:
    """(type, name) of each argument the call takes; none for a call the tables don't have."""
    prototype = _prototypes().get(name)
    if prototype is None:
        return ()
    if name == "futex" and not _futex_wants_all(state.arguments[1]):
        return prototype[1][:4]
    return prototype[1]


def _is_pointer(kind: str, word: str) -> bool:
    return "*" in kind or word in {"addr", "start"}


def _describe_argument(call: str, kind: str, word: str, value: int) -> str:
    if call == "futex" and word == "op":
        return _describe_futex_operation(value)
    if _is_pointer(kind, word):
        return hex(value) if value else "NULL"
    bits = 64 if kind in {"long", "unsigned long", "size_t", "ssize_t", "off_t", "loff_t", "u64"} else 32
    value &= (1 << bits) - 1
    unsigned = kind.startswith(("unsigned", "u", "size_t"))
    return str(value if unsigned or value < 1 << (bits - 1) else value - (1 << bits))


def _describe_futex_operation(value: int) -> str:
    command = value & _FUTEX_COMMAND
    words = [_FUTEX_OPERATIONS[command] if command < len(_FUTEX_OPERATIONS) else str(command)]
    words += [name for bit, name in _FUTEX_FLAGS if value & bit]
    return "|".join(words)


def _futex_wants_all(operation: int) -> bool:
    """futex(2): uaddr2 and val3 are for those commands only that requeue or compare bits."""
    return operation & _FUTEX_COMMAND not in {0, 1, 6, 7, 8}


def is_shared_futex(state: SyscallState) -> bool:
    """Whether a futex call names its word to every process (no FUTEX_PRIVATE_FLAG)."""
    return not state.arguments[1] & _FUTEX_FLAGS[0][0]


def is_futex_wait(state: SyscallState, architecture: Architecture) -> bool:
    """Whether the call waits for a futex (futex(2): FUTEX_WAIT, _LOCK_PI, _WAIT_BITSET, _WAIT_REQUEUE_PI, _LOCK_PI2)."""
    return syscall_name(state.number, architecture) == "futex" and state.arguments[1] & _FUTEX_COMMAND in {
        0,
        6,
        9,
        11,
        13,
    }
