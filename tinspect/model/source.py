"""Where a fact was learnt. Every reported fact carries one of these words, so that a guess is never shown as knowledge."""

from __future__ import annotations

from enum import StrEnum


class Source(StrEnum):
    """The ways tinspect learns a fact, most direct first within each group."""

    DESCRIPTOR = "descriptor"  # libc's own thread descriptor
    MAPS = "maps"  # /proc/PID/maps, or a core's load segments
    PAGEMAP = "pagemap"  # /proc/PID/pagemap
    RLIMIT = "rlimit"  # RLIMIT_STACK of the process
    REGISTERS = "registers"  # the thread's own registers
    KERNEL = "kernel"  # /proc/PID/task/TID/{status,stat,syscall,comm}
    BPF = "bpf"  # the BPF task iterator
    SIGFRAME = "sigframe"  # ucontext in a signal frame on a stack
    REGISTRY = "registry"  # the scoped-thread runtime's registry
    INJECTED = "injected"  # a system call run in the stopped thread
    NOTE = "note"  # a note in a core file
    SYMBOLS = "symbols"  # symbol or debug information of a module
    ALLOCATOR = "allocator"  # the headers that malloc keeps beside its chunks
    ZERO_SCAN = "zero_scan"  # untouched stack recognised by its zero bytes
    UNWIND = "unwind"  # call frame information
    INFERRED = "inferred"  # concluded from other facts; may be wrong
    UNKNOWN = "unknown"
