"""What the scoped-thread runtime says of its threads, scopes, loans, locks and keys, read through its registry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tinspect.analyses.context import Context
from tinspect.analyses.registry import RegistryRecords, read_registries
from tinspect.formats.registry import Kind, Record
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.lock import Lock
from tinspect.model.report import Finding, Severity
from tinspect.model.scope import Loan, RuntimeThread, Scope
from tinspect.model.source import Source

_STATES = ("unknown", "starting", "running", "parked", "blocked", "in destructors", "finished", "terminated", "gone")
_ENDED = frozenset({"finished", "terminated", "gone", "unknown"})
_WAITS = (
    None, "park", "join", "scope", "mutex", "rwlock read", "rwlock write", "condvar", "once", "barrier", "reentrant", "sleep",
)  # fmt: skip
# The states of a thread that runs its function: the runtime itself sees every ordinary way out of them.
_AT_WORK = frozenset({"running", "parked", "blocked"})
_LOCKING = frozenset({"mutex", "rwlock read", "rwlock write", "once", "reentrant"})
_LOCKS = ("lock", "mutex", "rwlock", "condvar", "once", "barrier", "reentrant")
_OWNED = frozenset({"mutex", "reentrant"})  # by one thread or by none; readers of an rwlock leave no id
_PHASES = ("unknown", "body", "joining", "done")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything the registries told, nothing when the target does not use the runtime.

    ``by_tid`` are the living threads whose records were whole; ``key_names`` what their program calls the runtime's pthread keys.
    """

    by_tid: Mapping[int, RuntimeThread] = field(default_factory=dict)
    scopes: tuple[Scope, ...] = ()
    locks: tuple[Lock, ...] = ()
    key_names: Mapping[int, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


def analyze(context: Context, registries: Sequence[int]) -> Runtime:
    """Reads the registries whose headers lie at ``registries``."""
    found, gaps = read_registries(context.snapshot.memory, tuple(registries))
    readings = [_Reading(context, records) for records in found]
    gaps += tuple(gap for reading in readings for gap in reading.gaps())
    return Runtime(
        {thread.tid: thread for reading in readings for thread in reading.steady_threads()},
        tuple(scope for reading in readings for scope in reading.scopes()),
        tuple(lock for reading in readings for lock in reading.locks()),
        {key: name for reading in readings for key, name in reading.key_names()},
        tuple(finding for reading in readings for finding in reading.findings()),
        gaps,
    )


class _Reading:
    """The records of one registry, with the runtime's thread ids told as tids."""

    def __init__(self, context: Context, records: RegistryRecords) -> None:
        self._facts = context.snapshot.facts
        # While threads run they are listed before the records are read, and those that are not may be younger.
        self._stood_still = context.snapshot.stood_still
        self._records = records
        # The runtime knows tids as its own pid namespace numbers them.
        tids = {thread.namespace_tid or thread.tid: thread.tid for thread in context.snapshot.threads}
        self._inherited = self._is_inherited(tids)
        self._tids = {} if self._inherited else tids
        self._threads = {record.id: record for record in records.of_kind(Kind.THREAD)}
        self._thread_addresses = {record.address: record.id for record in self._threads.values()}
        self._lock_owners = {lock.number("address"): lock.number("owner") for lock in records.of_kind(Kind.LOCK)}
        self.threads = tuple(self._thread(record) for record in self._threads.values())

    def _is_inherited(self, tids: Collection[int]) -> bool:
        """Whether the registry is another process's: copied by a fork of which the runtime was not told (it writes the child's pid
        into the child's copy). It knows the pid of its own namespace; where that is not known here, a thread in common proves it ours."""
        pid = self._facts.namespace_pid or self._facts.pid
        if pid is None or self._records.header.pid == pid:
            return False
        known = {record.number("tid") for record in self._records.of_kind(Kind.THREAD)}
        return self._facts.namespace_pid is not None or known.isdisjoint(tids)

    def gaps(self) -> Iterator[Gap]:
        """Why a registry that was read tells nothing of this process's threads."""
        if self._inherited:
            theirs = (
                f"the runtime's registry at {self._records.address:#x} is that of process {self._records.header.pid}"
            )
            cause = "this process was forked from it without the runtime's knowledge"
            if self._facts.namespace_pid is None:
                cause += ", or is numbered otherwise in its own pid namespace"
            yield Gap("scopes", f"{theirs}: {cause}. Its threads, owners and borrowers are not told.")

    def _tid(self, identity: int) -> int | None:
        record = self._threads.get(identity)
        return self._tids.get(record.number("tid")) if record is not None else None

    def _thread(self, record: Record) -> RuntimeThread:
        wait = record.number("wait_kind")
        waits_kind = _WAITS[wait] if wait < len(_WAITS) else None
        return RuntimeThread(
            id=record.id,
            tid=self._tids.get(record.number("tid"), record.number("tid")),
            pthread=record.number("pthread") or None,
            parent=record.link("parent") or None,
            scope=record.link("scope") or None,
            name=record.text("name"),
            state=_word(_STATES, record.number("state")),
            stack=_range(record, "stack_low", "stack_high"),
            guard=_range(record, "guard_low", "guard_high"),
            signal_stack=_range(record, "altstack_low", "altstack_high"),
            entry=record.number("entry") or None,
            waits_kind=waits_kind,
            waits_address=(record.number("wait_address") or None) if waits_kind else None,
            waits_owner_tid=self._awaited(waits_kind, record.number("wait_address")),
            panic_message=record.text("panic") or None,
        )

    def _awaited(self, kind: str | None, address: int) -> int | None:
        """The thread that ends the wait: who is joined (its record's address is given), or who holds the lock."""
        if kind == "join":
            return self._tid(self._thread_addresses.get(address, 0))
        return self._tid(self._lock_owners.get(address, 0)) if kind in _LOCKING else None

    def steady_threads(self) -> Iterator[RuntimeThread]:
        """The living threads whose records were not being written: what is half written is no fact."""
        for thread in self.threads:
            if thread.state not in _ENDED and not self._threads[thread.id].torn and not self._inherited:
                yield thread

    def scopes(self) -> Iterator[Scope]:
        """Every scope with its living children and its loans, by id."""
        children: dict[int, list[int]] = defaultdict(list)
        for thread in self.steady_threads():
            if thread.scope:
                children[thread.scope].append(thread.tid)
        loans: dict[int, list[Loan]] = defaultdict(list)
        for loan in self._loans():
            loans[loan.scope].append(loan)
        for record in sorted(self._records.of_kind(Kind.SCOPE), key=lambda r: r.id):
            yield Scope(
                id=record.id,
                owner_tid=self._tid(record.link("owner")),
                parent=record.link("parent") or None,
                name=record.text("name"),
                phase="torn" if record.torn else _word(_PHASES, record.number("phase")),
                running=record.number("running"),
                panicked=bool(record.number("panicked")),
                closed=bool(record.number("closed")),
                threads=tuple(sorted(children[record.id])),
                borrows=tuple(loans[record.id]),
                created_at=record.number("created_pc") or None,
                frame=record.number("frame") or None,
                orphaned=bool(record.number("orphaned")) or (self._facts.namespace_pid is not None and self._inherited),
            )

    def _loans(self) -> Iterator[Loan]:
        for record in self._records.of_kind(Kind.LOAN):
            area = _range(record, "low", "high")
            if area is None or record.torn:
                continue
            yield Loan(
                range=area,
                mode="exclusive" if record.number("exclusive") else "shared",
                lender_tid=self._tid(record.link("lender")),
                lender_frame=record.number("lender_frame") or None,
                borrower_tid=self._tid(record.link("borrower")),
                scope=record.link("scope"),
                taken_at=record.number("taken_pc") or None,
            )

    def locks(self) -> Iterator[Lock]:
        """The named locks, with the threads that wait for them."""
        for record in self._records.of_kind(Kind.LOCK):
            if record.torn:
                continue
            address, owner = record.number("address"), record.number("owner")
            kind = _word(_LOCKS, record.number("kind"))
            waiting = (thread.tid for thread in self.steady_threads() if thread.waits_address == address)
            yield Lock(
                address=address,
                kind=kind,
                source=Source.REGISTRY,
                name=record.text("name"),
                owner_tid=self._tid(owner),
                waiters=tuple(sorted(waiting)),
                poisoned=bool(record.number("poisoned")),
                held=True if owner else False if kind in _OWNED else None,
            )

    def key_names(self) -> Iterator[tuple[int, str]]:
        """The pthread keys the runtime made, with the names their program gave them."""
        for record in self._records.of_kind(Kind.KEY):
            name = record.text("name")
            if name and not record.torn:
                yield record.number("pthread_key"), name

    def findings(self) -> Iterator[Finding]:
        """Threads that ended behind the runtime's back, and scopes that lost their owner."""
        alive = set(self._tids.values())
        for thread in self.steady_threads() if self._stood_still else ():
            if thread.state in _AT_WORK and thread.tid not in alive:
                message = f"the runtime believes thread {thread.tid} ({thread.name or 'unnamed'}) is {thread.state}, but it has ended."
                yield Finding(Severity.WARNING, "thread-lost", message)
        for scope in self._records.of_kind(Kind.SCOPE):
            if scope.number("orphaned"):
                yield Finding(Severity.WARNING, "scope-orphaned", f"scope {scope.id} lost its owner in a fork.")


def _range(record: Record, low: str, high: str) -> AddressRange | None:
    start, end = record.number(low), record.number(high)
    return AddressRange(start, end) if 0 < start < end else None


def _word(words: tuple[str, ...], index: int) -> str:
    return words[index] if index < len(words) else words[0]
