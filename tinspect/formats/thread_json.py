"""The JSON form of one thread of the report: docs/reference/json.md."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from tinspect.errors import FormatError
from tinspect.formats.json_codec import (
    ADDRESS,
    BOOLEAN,
    BYTES,
    INTEGER,
    KNOWN_TEXT,
    TEXT,
    Array,
    Codec,
    Json,
    Member,
    Nullable,
    Record,
    Schema,
    plain,
    range_from,
    range_members,
    ranged,
    word,
)
from tinspect.model.frame import CallStack, Frame, FrameSource
from tinspect.model.lock import Waiter, WaitKind
from tinspect.model.registers import RegisterSet
from tinspect.model.report import ThreadReport
from tinspect.model.source import Source
from tinspect.model.stack import (
    GuardKind,
    GuardRegion,
    RunningOn,
    SignalStack,
    SignalStackState,
    StackBounds,
    StackUse,
)
from tinspect.model.text import printable
from tinspect.model.thread import Exactness, SignalStop, SyscallState, Thread
from tinspect.model.tls import ThreadTls, TlsBlock, TlsDestructor, TlsSlot, TlsVariable


class RegisterCodec:
    """Registers by name as a JSON object of hex strings, in the architecture's order."""

    def encode(self, value: dict[str, int]) -> Json:
        """See Codec."""
        return {printable(name): hex(number) for name, number in value.items()}

    def decode(self, data: object, path: str) -> dict[str, int]:
        """See Codec."""
        if not isinstance(data, dict):
            raise FormatError(f"{path}: an object was expected.")
        return {printable(str(name)): ADDRESS.decode(number, f"{path}.{name}") for name, number in data.items()}

    def schema(self) -> Schema:
        """See Codec."""
        return {"type": "object", "additionalProperties": ADDRESS.schema()}


@dataclass(frozen=True, slots=True)
class _StackEntry:
    """Bounds and use, which JSON holds as one object."""

    bounds: StackBounds | None
    use: StackUse | None


def _build_stack(values: dict[str, Any]) -> _StackEntry:
    found = range_from(values)
    bounds = StackBounds(found, values["source"] or Source.UNKNOWN) if found is not None else None
    if values["used_source"] is None or values["peak_source"] is None:
        return _StackEntry(bounds, None)
    use = StackUse(values["used"], values["peak"], values["used_source"], values["peak_source"], values["running_on"])
    return _StackEntry(bounds, use)


def _from_use(name: str) -> Any:
    return lambda entry: None if entry.use is None else getattr(entry.use, name)


_STACK: Record[_StackEntry] = Record(
    (
        *range_members(lambda entry: entry.bounds.range if entry.bounds else None),
        Member("used", Nullable(INTEGER), _from_use("used")),
        Member("peak", Nullable(INTEGER), _from_use("peak")),
        Member("running_on", word(RunningOn), lambda entry: entry.use.running_on if entry.use else RunningOn.UNKNOWN),
        Member("source", Nullable(word(Source)), lambda entry: entry.bounds.source if entry.bounds else None),
        Member("used_source", Nullable(word(Source)), _from_use("used_source")),
        Member("peak_source", Nullable(word(Source)), _from_use("peak_source")),
    ),
    _build_stack,
)


_GUARD = ranged(GuardRegion, True, kind=word(GuardKind), distance=Nullable(INTEGER), source=word(Source))
_SIGNAL_STACK = ranged(SignalStack, True, state=word(SignalStackState), flags=Array(TEXT), source=word(Source))
_TLS_SLOT = plain(TlsSlot, key=INTEGER, value=ADDRESS, description=Nullable(TEXT))
_TLS_BLOCK = ranged(TlsBlock, True, module=TEXT, module_id=INTEGER, source=word(Source))
_TLS_VARIABLE = plain(
    TlsVariable,
    name=TEXT,
    module=TEXT,
    address=ADDRESS,
    size=INTEGER,
    data=Nullable(BYTES),
    type_name=Nullable(TEXT),
    value=Nullable(TEXT),
)
_TLS_DESTRUCTOR = plain(TlsDestructor, function=ADDRESS, argument=ADDRESS, symbol=Nullable(TEXT))
_FRAME = plain(
    Frame,
    index=INTEGER,
    pc=ADDRESS,
    sp=ADDRESS,
    cfa=Nullable(ADDRESS),
    function=Nullable(TEXT),
    offset=Nullable(INTEGER),
    module=Nullable(TEXT),
    file=Nullable(TEXT),
    line=Nullable(INTEGER),
    inlined=Array(TEXT),
    is_signal_frame=BOOLEAN,
    source=word(FrameSource),
)
_WAITER = plain(
    Waiter,
    kind=word(WaitKind),
    address=Nullable(ADDRESS),
    owner_tid=Nullable(INTEGER),
    syscall=Nullable(TEXT),
    arguments=Nullable(TEXT),
    source=word(Source),
)
_SYSCALL = plain(SyscallState, number=INTEGER, arguments=Array(ADDRESS))
_SIGNAL = plain(SignalStop, number=INTEGER, code=Nullable(INTEGER), address=Nullable(ADDRESS))


@dataclass(frozen=True, slots=True)
class _Unwinding:
    """How a call stack ended: what JSON holds beside the frames."""

    ended: str
    complete: bool


_UNWINDING = plain(_Unwinding, ended=TEXT, complete=BOOLEAN)


def _of_thread(name: str, codec: Codec[Any]) -> Member[ThreadReport]:
    return Member(name, codec, attrgetter(f"thread.{name}"))


def _of_report(name: str, codec: Codec[Any]) -> Member[ThreadReport]:
    return Member(name, codec, attrgetter(name))


def _of_registers(name: str) -> Member[ThreadReport]:
    def get(entry: ThreadReport) -> int | None:
        registers = entry.thread.registers
        return None if registers is None else getattr(registers, name)

    return Member(name, Nullable(ADDRESS), get)


def _of_tls(name: str, attribute: str, codec: Codec[Any]) -> Member[ThreadReport]:
    return Member(name, Nullable(Array(codec)), lambda entry: getattr(entry.tls, attribute) if entry.tls else None)


def _stack_entry(entry: ThreadReport) -> _StackEntry | None:
    return _StackEntry(entry.stack, entry.use) if entry.stack or entry.use else None


def _register_values(entry: ThreadReport) -> dict[str, int] | None:
    registers = entry.thread.registers
    return None if registers is None else dict(registers)


_MEMBERS: tuple[Member[ThreadReport], ...] = (
    _of_thread("tid", INTEGER),
    _of_thread("name", KNOWN_TEXT),
    _of_thread("state", TEXT),
    _of_thread("is_main", BOOLEAN),
    _of_thread("namespace_tid", Nullable(INTEGER)),
    _of_thread("exactness", word(Exactness)),
    _of_report("pthread", Nullable(ADDRESS)),
    _of_thread("thread_pointer", Nullable(ADDRESS)),
    _of_report("start_routine", Nullable(TEXT)),
    _of_registers("pc"),
    _of_registers("sp"),
    _of_report("function", Nullable(TEXT)),
    _of_report("module", Nullable(TEXT)),
    _of_thread("cpu_time_us", Nullable(INTEGER)),
    _of_thread("seccomp", Nullable(INTEGER)),
    _of_thread("blocked_signals", Nullable(ADDRESS)),
    Member("registers", Nullable(RegisterCodec()), _register_values),
    _of_thread("syscall", Nullable(_SYSCALL)),
    _of_thread("signal", Nullable(_SIGNAL)),
    Member("stack", Nullable(_STACK), _stack_entry),
    _of_report("guard", Nullable(_GUARD)),
    Member("sigaltstack", Nullable(_SIGNAL_STACK), attrgetter("signal_stack")),
    _of_tls("tls_values", "slots", _TLS_SLOT),
    _of_tls("tls_blocks", "blocks", _TLS_BLOCK),
    _of_tls("tls_variables", "variables", _TLS_VARIABLE),
    _of_tls("tls_destructors", "destructors", _TLS_DESTRUCTOR),
    Member("frames", Nullable(Array(_FRAME)), lambda entry: entry.call_stack.frames if entry.call_stack else None),
    Member("unwinding", Nullable(_UNWINDING), attrgetter("call_stack")),
    _of_report("waits_for", Nullable(_WAITER)),
)

_THREAD_NAMES = (
    "tid", "name", "state", "is_main", "namespace_tid", "thread_pointer", "exactness", "syscall", "signal",
    "cpu_time_us", "seccomp", "blocked_signals",
)  # fmt: skip
_REPORT_NAMES = ("pthread", "start_routine", "function", "module", "guard", "waits_for")


def _build_thread(values: dict[str, Any]) -> ThreadReport:
    tid = values["tid"]
    stack = values["stack"] or _StackEntry(None, None)
    return ThreadReport(
        thread=Thread(registers=_build_registers(values), **{name: values[name] for name in _THREAD_NAMES}),
        stack=stack.bounds,
        use=stack.use,
        signal_stack=values["sigaltstack"],
        tls=_build_tls(tid, values),
        call_stack=_build_call_stack(tid, values),
        **{name: values[name] for name in _REPORT_NAMES},
    )


def _build_registers(values: dict[str, Any]) -> RegisterSet | None:
    registers, pc, sp = values["registers"], values["pc"], values["sp"]
    if registers is None or pc is None or sp is None:
        return None
    return RegisterSet(tuple(registers), tuple(registers.values()), pc, sp)


def _build_tls(tid: int, values: dict[str, Any]) -> ThreadTls | None:
    parts = [values[name] for name in ("tls_values", "tls_blocks", "tls_variables", "tls_destructors")]
    if all(part is None for part in parts):
        return None
    return ThreadTls(tid, *(part or () for part in parts))


def _build_call_stack(tid: int, values: dict[str, Any]) -> CallStack | None:
    frames, unwinding = values["frames"], values["unwinding"]
    if frames is None:
        return None
    if unwinding is None:
        return CallStack(tid, frames)
    return CallStack(tid, frames, unwinding.ended, unwinding.complete)


THREAD: Record[ThreadReport] = Record(_MEMBERS, _build_thread)
"""The codec of one thread."""
