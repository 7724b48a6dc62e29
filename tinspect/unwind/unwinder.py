"""Call stacks: from a thread's registers, frame by frame, to where the thread began."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinspect.arch import Architecture
from tinspect.model.address import AddressRange
from tinspect.model.frame import CallStack, Frame, FrameSource
from tinspect.model.mapping import MappingTable
from tinspect.model.module import ModuleTable
from tinspect.model.registers import RegisterSet
from tinspect.symbols.images import ImageStore
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import MemoryReader
from tinspect.target.target import ModuleFiles
from tinspect.unwind.call_frames import CannotUnwind, step_up
from tinspect.unwind.cursor import Caller, Cursor, RegisterColumns
from tinspect.unwind.guesses import CallerGuesses
from tinspect.unwind.signal_stack import find_frame_end
from tinspect.unwind.stack_words import StackWords
from tinspect.unwind.steps import Steps, StepStore, UnwindStep

FRAME_LIMIT = 1 << 16  # of one thread: who began a recursion that used up its stack stands at the far end
_DEEP_FRAMES = 1 << 18  # of all threads that have more than _SHALLOW: a hostile core may hold thousands of such stacks
_SHALLOW = 4096
_SIGNAL_LIMIT = 64
END_OF_STACK = "end of stack"


@dataclass(frozen=True, slots=True)
class _Place:
    """What is the same for every frame at one pc."""

    step: UnwindStep | None
    function: str | None
    start: int | None
    module: str | None


class Unwinder:
    """Unwinds the threads of one capture; what it learns of a pc serves all of them.

    ``steps`` may be shared among captures of the same process; ``mappings`` tell what is executable (without them only modules are,
    so code made at run time ends a stack). At most ``frame_limit`` frames are given for a thread, fewer after many deep stacks.
    """

    def __init__(
        self,
        memory: MemoryReader,
        modules: ModuleTable,
        files: ModuleFiles,
        architecture: Architecture,
        symbols: Symbolizer | None = None,
        *,
        mappings: MappingTable | None = None,
        steps: Steps | None = None,
        frame_limit: int = FRAME_LIMIT,
    ) -> None:
        self._memory = memory
        self._modules = modules
        self._architecture = architecture
        self._symbols = symbols
        self._steps = steps if steps is not None else StepStore(ImageStore(files))
        self._columns = RegisterColumns(architecture)
        self._guesses = CallerGuesses(architecture, self._columns, modules, mappings, symbols)
        self._frame_limit = frame_limit
        self._deep_frames = _DEEP_FRAMES
        self._places: dict[tuple[int, bool], _Place] = {}

    def unwind(self, tid: int, registers: RegisterSet, stack_limit: AddressRange | None = None) -> CallStack:
        """The frames of thread ``tid``. ``stack_limit`` is its own stack where that is known: no frame reaches beyond it.

        Never raises for a damaged target: ``ended`` says where and why the stack could not be followed.
        """
        words = StackWords(self._memory, max(registers.sp - self._architecture.red_zone, 0))
        last = Cursor(self._columns.load(registers), registers.pc, registers.sp, True, FrameSource.REGISTERS)
        cursor: Cursor | None = last
        frames: list[Frame] = []
        signals = 0
        ended, complete = END_OF_STACK, True
        limit = min(self._frame_limit, max(_SHALLOW, self._deep_frames))
        while cursor is not None:
            if len(frames) >= limit:
                ended, complete = f"more than {limit:,} frames", False
                break
            last = cursor
            place = self._place(cursor)
            caller, why = self._find_caller(place, cursor, words, stack_limit)
            frames.append(self._frame(len(frames), place, cursor, caller, words))
            signals += caller.cursor is not None and caller.cursor.source is FrameSource.SIGFRAME
            if why or signals > _SIGNAL_LIMIT:
                ended, complete = why or "too many signal frames", False
                break
            cursor = caller.cursor
        if len(frames) > _SHALLOW:
            self._deep_frames -= len(frames)
        return CallStack(tid, tuple(frames), ended, complete, self._columns.named(last.registers))

    def frame_registers(self, frame: Frame) -> dict[int, int]:
        """The registers of a frame that follow from its extent alone, by DWARF number: sp, and the one its CFA is counted from."""
        registers = {self._columns.sp: frame.sp}
        is_exact = frame.source in (FrameSource.REGISTERS, FrameSource.SIGFRAME)
        step = self._place(Cursor([], frame.pc, frame.sp, is_exact, frame.source)).step
        if step is not None and not step.cfa_expression and frame.cfa is not None:
            registers.setdefault(step.cfa_register, frame.cfa - step.cfa_offset)
        return registers

    def _place(self, cursor: Cursor) -> _Place:
        key = (cursor.pc, cursor.is_exact)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._look_up(cursor)
        return place

    def _look_up(self, cursor: Cursor) -> _Place:
        module = self._modules.find(cursor.lookup)
        if module is None:
            return _Place(None, None, None, None)
        step = self._steps.find_step(module, cursor.lookup)
        # The trampoline of a signal frame was never called: its pc is where it begins.
        address = cursor.pc if step is not None and step.is_signal_frame else cursor.lookup
        hit = self._symbols.find_symbol(address) if self._symbols is not None else None
        return _Place(step, hit.name if hit else None, hit.address if hit else None, module.path or module.name)

    def _find_caller(
        self, place: _Place, cursor: Cursor, words: StackWords, stack: AddressRange | None
    ) -> tuple[Caller, str]:
        """The caller, and why there is none where that is not the end of the stack."""
        why = ""
        if place.step is not None:
            try:
                caller: Caller | None = step_up(place.step, cursor, words, self._columns)
            except CannotUnwind as error:
                return Caller(None, None), error.why
        else:
            caller = self._guesses.find_caller(cursor, words, stack)
            if caller is None:
                return Caller(None, None), self._no_caller(cursor)
        assert caller is not None
        if caller.cursor is not None:
            why = _objection(cursor, caller.cursor, stack)
            if caller.cursor.pc == 0 and not caller.cursor.is_exact and not why:
                return Caller(caller.cfa, None), ""  # clone and _start leave 0 where a return address would be
        return (Caller(caller.cfa, None), why) if why else (caller, "")

    def _no_caller(self, cursor: Cursor) -> str:
        if cursor.registers[self._columns.frame_pointer] == 0 and self._guesses.is_code(cursor.pc):
            return ""  # psABI 3.4.1: the frame pointer is 0 in the outermost frame
        return "no call frame information, and nothing that looks like a caller"

    def _frame(self, index: int, place: _Place, cursor: Cursor, caller: Caller, words: StackWords) -> Frame:
        above = caller.cursor
        is_signal_frame = above is not None and above.source is FrameSource.SIGFRAME
        cfa = caller.cfa
        if is_signal_frame and place.step is None:
            # Nothing was called there: the pc is the trampoline's first instruction, which may begin its page (QEMU's does).
            place = self._place(replace(cursor, is_exact=True))
        if is_signal_frame and cfa is not None:
            cfa = find_frame_end(self._architecture, words, cursor.sp, cfa)
        return Frame(
            index,
            cursor.pc,
            cursor.sp,
            cfa,
            cursor.source,
            place.function,
            None if place.start is None else cursor.pc - place.start,
            place.module,
            is_signal_frame=is_signal_frame,
        )


def _objection(cursor: Cursor, caller: Cursor, stack: AddressRange | None) -> str:
    """Why ``caller`` cannot be what called the frame at ``cursor``; "" when it can."""
    if caller.source is FrameSource.SIGFRAME:
        return ""  # it may have run on another stack
    if caller.sp < cursor.sp or (caller.sp == cursor.sp and not cursor.is_exact):
        return "the caller's frame would lie below its callee's: the stack is damaged, or the frame was not set up"
    if stack is not None and cursor.sp in stack and caller.sp > stack.high:
        return "the caller's frame would lie beyond the end of the stack"
    return ""
