"""Learns the layout of struct pthread on one target, and proves it there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from dataclasses import fields as fields_of
from itertools import islice

from tinspect.arch import Architecture
from tinspect.errors import LayoutUnknown
from tinspect.libc.glibc.layout import Descriptor, PthreadLayout, StackFields
from tinspect.libc.glibc.lists import StackLists, read_descriptor, read_descriptors
from tinspect.libc.glibc.stack_fields import TABLE, find_by_disassembly, find_by_dwarf
from tinspect.libc.glibc.thread_db import ThreadDb
from tinspect.libc.layout_cache import LayoutCache
from tinspect.model.module import Module
from tinspect.target.target import Target

_PROVED_THREADS = 64  # of each list: reading all of 10,000 would cost more than the stop
_ATTEMPTS = 5  # a running target may change its lists under the reader

# x86-64, glibc 2.31 to 2.43 (nptl/descr.h): used where no descriptor is exported. A descriptor is at least this large.
X86_64_TABLE = PthreadLayout(
    size=2304, tid=720, links=704, specific=1296, dtv=8, stack=TABLE["x86_64"], self_words=(0, 16)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LearntLayout:
    """A proved layout and the word for how its stack fields were learnt: "dwarf", "disassembly" or "table"."""

    layout: PthreadLayout
    source: str


def described_layout(architecture: Architecture, database: ThreadDb) -> PthreadLayout | None:
    """What thread_db's descriptors tell, over the table where they are missing; the stack fields are the table's still.

    None where neither tells enough (aarch64 without descriptors).
    """
    table = X86_64_TABLE if architecture.name == "x86_64" else None
    size = database.find_size("pthread") or (table and table.size)
    tid = database.find_offset("pthread", "tid") or (table and table.tid)
    links = database.find_offset("pthread", "list") or (table and table.links)
    specific = database.find_offset("pthread", "specific") or (table and table.specific)
    if not (size and tid and links and specific):
        return None
    dtv = database.find_offset("pthread", "dtvp")
    return PthreadLayout(
        size=size,
        tid=tid,
        links=links,
        specific=specific,
        dtv=dtv if dtv is not None else 8,
        stack=TABLE.get(architecture.name, StackFields.consecutive(0)),
        self_words=table.self_words if table else (),
        # Variant 1 puts the descriptor below the thread pointer, variant 2 at it (psABI of thread-local storage, Drepper).
        thread_pointer=size if architecture.tls_variant == 1 else 0,
        start_routine=database.find_offset("pthread", "start_routine"),
    )


def learn_layout(
    target: Target,
    database: ThreadDb,
    threads_module: Module,
    lists: StackLists,
    *,
    known: tuple[int, ...] = (),
    cache: LayoutCache | None = None,
) -> LearntLayout:
    """The first layout that holds on the target, best source first. Raises LayoutUnknown when none does.

    ``known`` are descriptor addresses learnt elsewhere, for targets where no list can be found. Where nothing can be reached yet (a
    stripped libpthread, or none), the proof is left to the snapshot, which knows thread pointers.
    """
    described = described_layout(target.architecture, database)
    if described is None:
        raise LayoutUnknown("glibc's struct pthread is not described.", "Install glibc's debug symbols (libc6-dbg).")
    tried = []
    remembered = cache.find(threads_module.build_id) if cache else None
    for source, fields in _sources(target, database, threads_module, remembered):
        layout = replace(described, stack=fields)
        reachable = bool(lists.live or known)
        if layout.is_plausible() and (not reachable or holds(target, layout, lists, known)):
            if cache and not remembered:
                cache.store(threads_module.build_id, source, astuple(fields))
            return LearntLayout(layout, source)
        tried.append(source)
    raise LayoutUnknown(
        f"The stack fields of glibc's struct pthread are unknown (tried: {', '.join(tried) or 'nothing'}).",
        "Install glibc's debug symbols (libc6-dbg).",
    )


def _sources(
    target: Target, database: ThreadDb, module: Module, remembered: tuple[str, tuple[int, ...]] | None
) -> Iterator[tuple[str, StackFields]]:
    if remembered and len(remembered[1]) == len(fields_of(StackFields)):
        yield remembered[0], StackFields(*remembered[1])
    architecture = target.architecture
    ways: tuple[tuple[str, Callable[[], StackFields | None]], ...] = (
        ("dwarf", lambda: find_by_dwarf(target.files, module)),
        ("disassembly", lambda: find_by_disassembly(architecture, target.memory, database.symbols, module.name)),
        ("table", lambda: TABLE.get(architecture.name)),
    )
    for source, find in ways:
        fields = find()
        if fields is not None:
            yield source, fields


def holds(target: Target, layout: PthreadLayout, lists: StackLists, known: Iterable[int]) -> bool:
    """The proof: the first threads of each list are all sound by ``layout``, and there is one. Every thread of a snapshot is checked
    again when it is read."""
    tids = {thread.namespace_tid or thread.tid for thread in target.threads}
    known = tuple(known)
    for _ in range(_ATTEMPTS):
        reached = [found for address in known if (found := read_descriptor(target.memory, layout, address))]
        for head in lists.live:
            reached += islice(read_descriptors(target.memory, layout, head), _PROVED_THREADS)
        living = [descriptor for descriptor in reached if descriptor.tid in tids]
        if living and all(_is_proved(target, descriptor) for descriptor in living):
            return True
    return False


def _is_proved(target: Target, descriptor: Descriptor) -> bool:
    if not descriptor.is_sound:
        return False
    # The initial thread's size word holds __libc_stack_end, which lies in its stack: a word of some other meaning does not.
    place = descriptor.stack_size if descriptor.is_initial else descriptor.stack_block + descriptor.guard_size
    mapping = target.mappings.find(place)
    return not descriptor.is_initial or (mapping is not None and mapping.is_writable)
