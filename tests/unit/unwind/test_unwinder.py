"""Unwinding over memory made by hand: the PLT, loops, damaged and hostile stacks, aarch64."""

from __future__ import annotations

import functools
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from tests.support.elf_samples import compile_source, sample
from tinspect.arch import Architecture
from tinspect.arch.aarch64 import AARCH64
from tinspect.arch.x86_64 import X86_64
from tinspect.formats.cfi import CommonEntry, FrameEntry, compute_row
from tinspect.formats.eh_frame import CallFrameTable
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PT_LOAD
from tinspect.model.address import AddressRange
from tinspect.model.frame import CallStack, FrameSource
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.model.registers import RegisterSet
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import open_symbols
from tinspect.target.memory import SegmentMemory
from tinspect.unwind import unwinder as unwinder_module
from tinspect.unwind.cursor import RegisterColumns
from tinspect.unwind.steps import StepStore, UnwindStep, compile_step
from tinspect.unwind.unwinder import END_OF_STACK, Unwinder

STACK = 0x7FFF00000000
CODE = 0x400000
SIZE = 0x4000


class Files:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def open_image(self, module: Module) -> bytes | None:
        return self._data

    def open_debug(self, build_id: str) -> bytes | None:
        return None

    def open_debug_link(self, module: Module, name: str) -> bytes | None:
        return None


def register_set(architecture: Architecture, **values: int) -> RegisterSet:
    names = architecture.registers.names
    ordered = tuple(values.get(name, 0) for name in names)
    by_name = dict(zip(names, ordered, strict=True))
    return RegisterSet(names, ordered, by_name[architecture.registers.pc], by_name[architecture.registers.sp])


@dataclass
class Loaded:
    """The sample program, loaded at CODE, with a stack of words."""

    data: bytes

    def __post_init__(self) -> None:
        self.image = ElfImage(self.data)
        self.module = Module(
            "sample", "/sample", CODE, AddressRange(CODE, CODE + 0x10000), self.image.build_id, is_main=True
        )
        self.files = Files(self.data)
        self.images = ImageStore(self.files)
        self.symbols = open_symbols(ModuleTable([self.module]), self.images)
        self.loads = [
            (CODE + s.address, bytes(self.data[s.offset : s.offset + s.file_size]))
            for s in self.image.segments
            if s.type == PT_LOAD
        ]
        self.steps = StepStore(self.images)
        self.mappings = MappingTable(
            [
                Mapping(AddressRange(CODE, CODE + 0x10000), "r-xp", name="/sample"),
                Mapping(AddressRange(STACK, STACK + SIZE), "rw-p"),
            ]
        )

    def address(self, name: str) -> int:
        found = self.symbols.find_address(name)
        assert found is not None
        return found

    def unwind(self, stack: bytes, limit: bool = True, **registers: int) -> CallStack:
        memory = SegmentMemory([*self.loads, (STACK, stack)])
        unwinder = Unwinder(
            memory,
            ModuleTable([self.module]),
            self.files,
            X86_64,
            self.symbols,
            mappings=self.mappings,
            steps=self.steps,
        )
        bounds = AddressRange(STACK, STACK + len(stack)) if limit else None
        return unwinder.unwind(1, register_set(X86_64, **registers), bounds)


@functools.cache
def load_sample() -> Loaded:
    return Loaded(sample("-pie", "-fPIE", "-fcf-protection=none", "-O0"))


@pytest.fixture
def loaded() -> Loaded:
    return load_sample()


def return_site(loaded: Loaded, directory: Path) -> int:
    """Right after the call of ``visible`` in main."""
    path = directory / "sample"
    path.write_bytes(loaded.data)
    text = subprocess.run(
        ["objdump", "-d", "--disassemble=main", str(path)], capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in text.splitlines() if re.match(r" +[0-9a-f]+:", line)]
    index = next(i for i, line in enumerate(lines) if "<visible>" in line)
    return CODE + int(lines[index + 1].split(":")[0], 16)


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values).ljust(SIZE, b"\0")


@pytest.mark.parametrize(("offset", "pushed"), [(0, 0), (6, 0), (11, 1)])
def test_an_entry_of_the_plt_leads_to_its_caller(loaded: Loaded, tmp_path: Path, offset: int, pushed: int) -> None:
    """The CFA there is given by an expression over the low bits of the pc: 8 more once the relocation's index is pushed."""
    plt = loaded.image.find_section(".plt")
    assert plt is not None
    site = return_site(loaded, tmp_path)
    stack = words(*[7] * pushed, site, 0)
    found = loaded.unwind(stack, rip=CODE + plt.address + 16 + offset, rsp=STACK, rbp=STACK + 64)
    assert found.frames[0].cfa == STACK + 8 * (pushed + 1)
    assert found.frames[1].pc == site
    assert found.frames[1].function == "main"
    assert (found.frames[0].function or "").endswith("@plt")


def test_a_call_through_null_leads_to_its_caller(loaded: Loaded, tmp_path: Path) -> None:
    site = return_site(loaded, tmp_path)
    found = loaded.unwind(words(site, 0, 0, 0), rip=0, rsp=STACK, rbp=STACK + 16)
    assert [frame.pc for frame in found.frames[:2]] == [0, site]
    assert found.frames[1].source is FrameSource.STACK_SCAN


def test_a_wild_jump_without_a_caller_says_so(loaded: Loaded) -> None:
    found = loaded.unwind(words(1, 2, 3), rip=0x1234, rsp=STACK)
    assert [frame.pc for frame in found.frames] == [0x1234]
    assert found.frames[0].cfa is None
    assert found.frames[0].extent is None
    assert not found.complete
    assert found.ended


def test_frames_that_point_back_end(loaded: Loaded, tmp_path: Path) -> None:
    site = return_site(loaded, tmp_path)
    stack = words(0, 0, STACK + 16, site, STACK + 16, site)  # main's saved frame pointer leads to main itself
    found = loaded.unwind(stack, rip=site, rsp=STACK, rbp=STACK + 16)
    assert len(found.frames) < 5
    assert not found.complete
    assert "below" in found.ended


def test_a_caller_beyond_the_stack_is_not_believed(loaded: Loaded, tmp_path: Path) -> None:
    site = return_site(loaded, tmp_path)
    found = loaded.unwind(words(STACK + SIZE + 32, site), rip=site, rsp=STACK, rbp=STACK + SIZE - 8)
    assert not found.complete
    assert all(frame.sp < STACK + SIZE for frame in found.frames)


def test_a_stack_that_cannot_be_read_says_so(loaded: Loaded) -> None:
    found = loaded.unwind(b"", limit=False, rip=loaded.address("main") + 8, rsp=0x1000, rbp=0x1000)
    assert len(found.frames) == 1
    assert not found.complete
    assert "cannot be read" in found.ended


def test_no_more_frames_than_asked(loaded: Loaded, tmp_path: Path) -> None:
    site = return_site(loaded, tmp_path)
    stack = struct.pack("<2000Q", *(value for i in range(1000) for value in (STACK + 16 * (i + 1), site)))
    memory = SegmentMemory([*loaded.loads, (STACK, stack)])
    modules = ModuleTable([loaded.module])
    unwinder = Unwinder(memory, modules, loaded.files, X86_64, steps=loaded.steps, frame_limit=50)
    found = unwinder.unwind(1, register_set(X86_64, rip=site, rsp=STACK, rbp=STACK))
    assert len(found.frames) == 50
    assert found.ended == "more than 50 frames"
    assert not found.complete


def test_many_deep_stacks_get_fewer_frames(loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unwinder_module, "_SHALLOW", 10)
    monkeypatch.setattr(unwinder_module, "_DEEP_FRAMES", 1500)
    site = return_site(loaded, tmp_path)
    stack = struct.pack("<2000Q", *(value for i in range(1000) for value in (STACK + 16 * (i + 1), site)))
    memory = SegmentMemory([*loaded.loads, (STACK, stack)])
    unwinder = Unwinder(memory, ModuleTable([loaded.module]), loaded.files, X86_64, steps=loaded.steps)
    registers = register_set(X86_64, rip=site, rsp=STACK, rbp=STACK)
    first, second, third = (unwinder.unwind(tid, registers) for tid in (1, 2, 3))
    assert len(first.frames) > 900
    assert len(second.frames) == 1500 - len(first.frames)
    assert (len(third.frames), third.ended) == (10, "more than 10 frames")


@settings(max_examples=200, deadline=None)
@given(strategies.data())
def test_any_stack_ends(data: strategies.DataObject) -> None:
    loaded = load_sample()
    text = loaded.image.find_section(".text")
    assert text is not None
    code = strategies.integers(CODE + text.address - 64, CODE + text.address + text.size)
    inside = strategies.integers(STACK, STACK + 256).map(lambda value: value & ~7)
    word = strategies.one_of(code, inside, strategies.integers(0, (1 << 64) - 1))
    stack = struct.pack("<32Q", *data.draw(strategies.lists(word, min_size=32, max_size=32)))
    names = ("rip", "rsp", "rbp", "rbx", "r12")
    registers = {name: data.draw(word) for name in names}
    found = loaded.unwind(stack, limit=data.draw(strategies.booleans()), **registers)
    assert 1 <= len(found.frames) <= 200
    assert found.frames[0].pc == registers["rip"]
    assert found.complete == (found.ended == END_OF_STACK)
    for frame in found.frames:
        assert frame.extent is None or frame.extent.size >= 0


class Steps:
    """Rules by range of pc, as if a module had them."""

    def __init__(self, images: ImageStore, rules: dict[range, bytes]) -> None:
        self.images = images
        self._rules = rules

    def find_step(self, module: Module, address: int) -> UnwindStep | None:
        for place, code in self._rules.items():
            if address in place:
                common = CommonEntry(1, -8, 30, 0, True, False, b"\x0c\x1f\x00")  # the CFA is sp
                return compile_step(compute_row(FrameEntry(common, place.start, len(place), code), address))
        return None


BL = struct.pack("<I", 0x94000000)


def unwind_aarch64(rules: dict[range, bytes], code: dict[int, bytes], stack: bytes, **registers: int) -> CallStack:
    module = Module("x", "/x", CODE, AddressRange(CODE, CODE + 0x10000))
    files = Files(b"")
    memory = SegmentMemory([(STACK, stack), *code.items()])
    mappings = MappingTable(
        [Mapping(AddressRange(CODE, CODE + 0x11000), "r-xp"), Mapping(AddressRange(STACK, STACK + SIZE), "rw-p")]
    )
    steps = Steps(ImageStore(files), rules)
    unwinder = Unwinder(memory, ModuleTable([module]), files, AARCH64, mappings=mappings, steps=steps)
    return unwinder.unwind(1, register_set(AARCH64, **registers), AddressRange(STACK, STACK + len(stack)))


def test_aarch64_leaf_signed_and_last() -> None:
    signed = 0x0012_0000_0000_0000 | (CODE + 0x204)
    rules = {
        range(0x400100, 0x400180): b"",  # a leaf: nothing saved, the return address in x30
        range(0x400180, 0x400200): b"\x0e\x20\x9d\x04\x9e\x03\x2d",  # CFA sp+32; x29 at CFA-32, x30 at CFA-24, signed
        range(0x400200, 0x400280): b"\x07\x1e",  # x30 undefined: the outermost
    }
    stack = words(0xF00, signed)
    found = unwind_aarch64(rules, {}, stack, pc=CODE + 0x110, sp=STACK, x30=CODE + 0x184, x29=STACK)
    assert [frame.pc for frame in found.frames] == [CODE + 0x110, CODE + 0x184, CODE + 0x204]
    assert [frame.cfa for frame in found.frames] == [STACK, STACK + 32, STACK + 32]
    assert found.complete


def test_aarch64_without_rules_follows_frame_records_and_signal_frames() -> None:
    code = {CODE + 0x200: BL, CODE + 0x300: BL, CODE + 0x400: AARCH64.sigreturn_code}
    names = AARCH64.sigframe_registers
    stack = bytearray(SIZE)
    struct.pack_into("<2Q", stack, 0, STACK + 64, CODE + 0x400)  # the handler's record returns to the trampoline
    frame_at = 16  # where the guess says the trampoline's sp is
    for name, value in {"pc": CODE + 0x208, "sp": STACK + 0x2000, "x29": STACK + 0x2000, "x30": 5}.items():
        struct.pack_into("<Q", stack, frame_at + names[name], value)
    struct.pack_into("<2Q", stack, 0x2000, 0, CODE + 0x304)
    found = unwind_aarch64({}, code, bytes(stack), pc=CODE + 0x100, sp=STACK, x29=STACK)
    assert [frame.pc for frame in found.frames] == [CODE + 0x100, CODE + 0x400, CODE + 0x208, CODE + 0x304]
    sources = [FrameSource.REGISTERS, FrameSource.FRAME_POINTER, FrameSource.SIGFRAME, FrameSource.FRAME_POINTER]
    assert [frame.source for frame in found.frames] == sources
    assert found.frames[1].is_signal_frame


def test_a_trampoline_right_behind_a_module_is_not_the_module_s() -> None:
    """QEMU puts the trampoline at the start of a page of its own, which may follow a library."""
    trampoline, names = CODE + 0x10000, AARCH64.sigframe_registers
    code = {CODE + 0x200: BL, trampoline: AARCH64.sigreturn_code}
    stack = bytearray(SIZE)
    struct.pack_into("<2Q", stack, 0, STACK + 64, trampoline)
    for name, value in {"pc": CODE + 0x208, "sp": STACK + 0x2000}.items():
        struct.pack_into("<Q", stack, 16 + names[name], value)
    found = unwind_aarch64({}, code, bytes(stack), pc=CODE + 0x100, sp=STACK, x29=STACK)
    assert [(frame.module, frame.is_signal_frame) for frame in found.frames] == [
        ("/x", False), (None, True), ("/x", False),
    ]  # fmt: skip


def test_debug_frame_is_asked_where_eh_frame_is_silent(tmp_path: Path) -> None:
    flags = ("-g", "-O1", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
    image = ElfImage(compile_source(tmp_path / "sample", flags).read_bytes())
    table = CallFrameTable(image)
    loaded = Loaded(bytes(image.data))
    main = loaded.address("main") - CODE
    entry = table.find(main + 1)
    assert entry is not None
    assert entry.start == main


def test_registers_that_nobody_told_are_unknown() -> None:
    columns = RegisterColumns(X86_64)
    loaded = columns.load(RegisterSet(("rip", "rsp"), (0x1000, 0x2000), 0x1000, 0x2000))
    assert dict(columns.named(loaded)) == {"rip": 0x1000, "rsp": 0x2000}
