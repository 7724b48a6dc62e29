"""Callers of code without call frame information. All but the signal frame are guesses, and each says by its source that it is one."""

from __future__ import annotations

from tinspect.arch import Architecture
from tinspect.model.address import AddressRange
from tinspect.model.frame import FrameSource
from tinspect.model.mapping import MappingTable
from tinspect.model.module import ModuleTable
from tinspect.symbols.protocol import Symbolizer
from tinspect.unwind.code import find_call, find_prologue_offset
from tinspect.unwind.cursor import Caller, Cursor, RegisterColumns, Registers
from tinspect.unwind.stack_words import StackWords

_SCAN_WORDS = 1024
_WORD = 8
_CODE_CACHE_LIMIT = 1 << 16


class CallerGuesses:
    """Ways to find a caller, most certain first."""

    def __init__(
        self,
        architecture: Architecture,
        columns: RegisterColumns,
        modules: ModuleTable,
        mappings: MappingTable | None,
        symbols: Symbolizer | None,
    ) -> None:
        self._architecture = architecture
        self._columns = columns
        self._modules = modules
        self._mappings = mappings
        self._symbols = symbols
        self._calls: dict[int, int | None] = {}

    def find_caller(self, cursor: Cursor, words: StackWords, stack: AddressRange | None) -> Caller | None:
        """The caller of the frame at ``cursor``, or None when there is no sign of one."""
        caller = self._signal_frame(cursor, words)
        if caller is not None:
            return caller
        if not self.is_code(cursor.pc):
            return self._called_nothing(cursor, words)
        start = self._function_start(cursor)
        caller = self._at_entry(cursor, words, start)
        if caller is not None:
            return caller
        pointed = self._by_frame_pointer(cursor, words, stack)
        if start is not None:
            # A word below that frame record that follows a direct call of this very function is better evidence: the record
            # then belongs to a caller further up.
            high = pointed.cfa - _WORD if pointed is not None and pointed.cfa is not None else None
            called = self._by_scan(cursor, words, stack, high, start)
            if called is not None:
                return called
        return pointed or self._by_scan(cursor, words, stack, None, None)

    def is_code(self, address: int) -> bool:
        """Whether ``address`` can be run: by the mappings where they are known, else by the modules."""
        if self._mappings is None:
            return self._modules.find(address) is not None
        mapping = self._mappings.find(address)
        return mapping is not None and mapping.is_executable

    def _call_before(self, address: int, words: StackWords) -> int | None:
        """See code.find_call; None for what cannot be a return address. A signal handler returns to a trampoline that called nothing."""
        if address not in self._calls:
            if len(self._calls) >= _CODE_CACHE_LIMIT:
                self._calls.clear()
            found = find_call(self._architecture, words.bytes_at, address) if self.is_code(address - 1) else None
            if found is None and self._is_trampoline(address, words):
                found = 0
            self._calls[address] = found
        return self._calls[address]

    def _is_trampoline(self, address: int, words: StackWords) -> bool:
        code = self._architecture.sigreturn_code
        return self.is_code(address) and words.bytes_at(address, len(code)) == code

    def _holds_signal_frame(self, sp: int, words: StackWords) -> bool:
        """Whether what the trampoline would pop at ``sp`` can be a frame of the kernel's: its address alone also stands in every
        struct sigaction that is passed to the kernel, as sa_restorer."""
        offsets, layout = self._architecture.sigframe_registers, self._architecture.registers
        pc, interrupted = words.word(sp + offsets[layout.pc]), words.word(sp + offsets[layout.sp])
        if pc is None or interrupted is None or words.word(interrupted) is None:
            return False
        return self.is_code(pc) or words.word(pc) is None  # code, or nothing at all: a call through a wild pointer

    def _function_start(self, cursor: Cursor) -> int | None:
        hit = self._symbols.find_symbol(cursor.lookup) if self._symbols is not None else None
        return hit.address if hit is not None and hit.is_function else None

    def _is_function_start(self, address: int) -> bool:
        """A pointer to a function is no return address, though a call that never returns may stand right before it."""
        hit = self._symbols.find_symbol(address) if self._symbols is not None else None
        return hit is not None and hit.offset == 0

    def _signal_frame(self, cursor: Cursor, words: StackWords) -> Caller | None:
        """The kernel's frame, known by the code that will pop it: ``rt_sigreturn`` at the pc."""
        if not self._is_trampoline(cursor.pc, words):
            return None
        registers = cursor.registers.copy()
        values = {
            name: words.word(cursor.sp + offset) for name, offset in self._architecture.sigframe_registers.items()
        }
        for name, value in values.items():
            number = self._columns.by_name.get(name)
            if number is not None:
                registers[number] = value
        layout = self._architecture.registers
        pc, sp = values[layout.pc], values[layout.sp]
        if pc is None or sp is None:
            return None
        return Caller(sp, Cursor(registers, pc, sp, True, FrameSource.SIGFRAME))

    def _called_nothing(self, cursor: Cursor, words: StackWords) -> Caller | None:
        """After a call through a null or wild pointer no instruction has run: the return address is where the call left it."""
        if not cursor.is_exact:
            return None
        if self._architecture.name == "aarch64":
            link = cursor.registers[self._columns.return_address]
            return self._guess(cursor, link, cursor.sp, words, FrameSource.STACK_SCAN)
        return self._return_at(cursor, cursor.sp, words)

    def _at_entry(self, cursor: Cursor, words: StackWords, start: int | None) -> Caller | None:
        if start is None or not cursor.is_exact:
            return None
        offset = find_prologue_offset(self._architecture, words.bytes_at, start, cursor.pc)
        return None if offset is None else self._return_at(cursor, cursor.sp + offset, words)

    def _return_at(self, cursor: Cursor, address: int, words: StackWords) -> Caller | None:
        return self._guess(cursor, words.word(address), address + _WORD, words, FrameSource.STACK_SCAN)

    def _by_frame_pointer(self, cursor: Cursor, words: StackWords, stack: AddressRange | None) -> Caller | None:
        """The frame record (caller's frame pointer, return address) that the frame pointer points to."""
        record = cursor.registers[self._columns.frame_pointer]
        if record is None or record % _WORD or record < cursor.sp or (stack is not None and record not in stack):
            return None
        outer, target = words.word(record), words.word(record + _WORD)
        return self._forget(self._guess(cursor, target, record + 2 * _WORD, words, FrameSource.FRAME_POINTER), outer)

    def _by_scan(
        self, cursor: Cursor, words: StackWords, stack: AddressRange | None, high: int | None, callee: int | None
    ) -> Caller | None:
        """The nearest word above sp that follows a call instruction; only one of a direct call of ``callee`` where that is given."""
        start = -(-cursor.sp // _WORD) * _WORD
        end = start + _SCAN_WORDS * _WORD
        limits = [limit for limit in (high, stack.high if stack is not None and cursor.sp in stack else None) if limit]
        for address in range(start, min([end, *limits]), _WORD):
            value = words.word(address)
            if value is None:
                return None
            called = self._call_before(value, words) if value > _WORD else None
            if called is not None and (called == callee or (callee is None and not self._is_function_start(value))):
                caller = self._guess(cursor, value, address + _WORD, words, FrameSource.STACK_SCAN)
                if caller is not None:
                    return self._forget(caller, cursor.registers[self._columns.frame_pointer])
        return None

    def _guess(
        self, cursor: Cursor, target: int | None, cfa: int, words: StackWords, source: FrameSource
    ) -> Caller | None:
        """The caller at ``target`` if that follows a call; its registers are the callee's, which has not changed any yet."""
        if target is None or self._call_before(target, words) is None:
            return None
        if self._is_trampoline(target, words) and not self._holds_signal_frame(cfa, words):
            return None
        registers = cursor.registers.copy()
        registers[self._columns.sp] = cfa
        return Caller(cfa, Cursor(registers, target, cfa, False, source))

    def _forget(self, caller: Caller | None, frame_pointer: int | None) -> Caller | None:
        """The same, less the registers that the code in between may have changed. The frame pointer stays: it is proved before use."""
        if caller is not None and caller.cursor is not None:
            registers: Registers = [None] * len(caller.cursor.registers)
            registers[self._columns.sp] = caller.cfa
            registers[self._columns.frame_pointer] = frame_pointer
            caller.cursor.registers = registers
        return caller
