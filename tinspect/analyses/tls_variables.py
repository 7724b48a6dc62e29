"""Thread-local storage: each module's block of each thread, the variables in it, and what runs when the thread ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from tinspect.analyses.context import Context
from tinspect.errors import MemoryUnreadable
from tinspect.libc.protocol import ThreadDescriptor
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.module import Module
from tinspect.model.tls import TlsBlock, TlsDestructor, TlsVariable
from tinspect.symbols.demangle import demangle
from tinspect.symbols.table import SymbolStore

SHOWN_BYTES = 256  # of a variable's value; a buffer of megabytes in thousands of threads would be the whole report


# libc's other variables are its own affair: seventeen a thread would hide the program's.
_OF_LIBC = frozenset(("errno", "__h_errno"))


class ThreadLocal(Protocol):
    """A thread-local variable as its module's symbols or debug information describe it."""

    @property
    def name(self) -> str:
        """Its name, demangled."""
        ...

    @property
    def offset(self) -> int:
        """Where it lies in the module's block, in bytes."""
        ...

    @property
    def size(self) -> int:
        """Its bytes; 0 when not known."""
        ...

    @property
    def type_name(self) -> str | None:
        """Its type as the source has it, or None."""
        ...

    def render(self, data: bytes) -> str | None:
        """The value in words of the type, or None where only the bytes can be shown."""
        ...


@dataclass(frozen=True, slots=True)
class NamedBytes:
    """A ThreadLocal of which only the symbol is known: name, place and size."""

    name: str
    offset: int
    size: int
    type_name: str | None = None

    def render(self, _data: bytes) -> str | None:
        """See ThreadLocal."""
        return None


VariablesOf = Callable[[Module], Iterable[ThreadLocal]]


def variables_of_symbols(store: SymbolStore) -> VariablesOf:
    """Variables as the modules' symbol tables name them, with their bytes for a value."""

    def variables_of(module: Module) -> Iterable[ThreadLocal]:
        for symbol in store.module_symbols(module).tls_symbols():
            yield NamedBytes(demangle(symbol.name), symbol.address, symbol.size)

    return variables_of


@dataclass(frozen=True, slots=True)
class Storage:
    """The thread-local storage of one thread, without its keys."""

    blocks: tuple[TlsBlock, ...] = ()
    variables: tuple[TlsVariable, ...] = ()
    destructors: tuple[TlsDestructor, ...] = ()


@dataclass(frozen=True, slots=True)
class AllStorage:
    """The storage of every thread by tid, and what could not be read."""

    threads: dict[int, Storage] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


def analyze(context: Context, variables_of: VariablesOf, tids: frozenset[int] | None = None) -> AllStorage:
    """Blocks, variables and exit functions of the threads ``tids`` (None: all). ``variables_of`` is asked once for each module."""
    libc = context.libc
    if libc is None:
        return AllStorage()
    known: dict[str, tuple[ThreadLocal, ...]] = {}
    threads: dict[int, Storage] = {}
    gaps: list[Gap] = []
    for tid, descriptor in context.libc_threads.descriptors.items():
        if tids is not None and tid not in tids:
            continue
        blocks, missing = libc.read_tls_blocks(context.snapshot, descriptor)
        gaps += missing
        variables = tuple(variable for block in blocks for variable in _variables(context, block, known, variables_of))
        threads[tid] = Storage(blocks, variables, _destructors(context, descriptor, gaps))
    return AllStorage(threads, tuple(gaps))


def _variables(
    context: Context, block: TlsBlock, known: dict[str, tuple[ThreadLocal, ...]], variables_of: VariablesOf
) -> Iterator[TlsVariable]:
    if block.range is None:
        return
    if block.module not in known:
        module = next((m for m in context.snapshot.modules if (m.path or m.name) == block.module), None)
        found = sorted(variables_of(module), key=_place) if module is not None else []
        if context.libc is not None and block.module == context.libc.own_module:
            found = [variable for variable in found if variable.name in _OF_LIBC]
        known[block.module] = tuple(found)
    for variable in known[block.module]:
        address = block.range.low + variable.offset
        end = address + variable.size
        if not block.range.low <= address < block.range.high or end > block.range.high:
            continue  # a damaged symbol: it leaves the block
        data = _read(context, AddressRange.sized(address, min(variable.size, SHOWN_BYTES)))
        rendered = variable.render(data) if data is not None and variable.size <= SHOWN_BYTES else None
        yield TlsVariable(variable.name, block.module, address, variable.size, data, variable.type_name, rendered)


def _place(variable: ThreadLocal) -> tuple[int, str]:
    return variable.offset, variable.name


def _read(context: Context, place: AddressRange) -> bytes | None:
    if not place.size:
        return None
    try:
        return context.snapshot.memory.read(place.low, place.size)
    except MemoryUnreadable:
        return None


def _destructors(context: Context, descriptor: ThreadDescriptor, gaps: list[Gap]) -> tuple[TlsDestructor, ...]:
    assert context.libc is not None
    found, missing = context.libc.read_exit_destructors(context.snapshot, descriptor)
    gaps += missing
    named = []
    for entry in found:
        hit = context.symbols.find_symbol(entry.function)
        named.append(replace(entry, symbol=hit.name if hit is not None and hit.offset == 0 else None))
    return tuple(named)
