"""Variables by address: what the program prints of itself (&local, &thread_local) against what its debug information tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.gdb_stacks import gdb_stacks
from tests.support.live_process import LiveProcess
from tests.support.standing_process import StandingProcess, build
from tinspect.arch.x86_64 import X86_64
from tinspect.formats.elf_constants import PT_TLS
from tinspect.model.frame import Frame
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import SymbolTable, open_symbols
from tinspect.symbols.variables import FrameValues
from tinspect.unwind.steps import StepStore
from tinspect.unwind.unwinder import Unwinder

BUILDS = {
    "O0-dwarf5": ("gcc", "-g", "-O0"),
    "O0-dwarf4": ("gcc", "-gdwarf-4", "-O0"),
    "O0-dwarf2": ("gcc", "-gdwarf-2", "-O0"),
    "O2": ("gcc", "-g", "-O2"),
    "O2-frame-pointer": ("gcc", "-g", "-O2", "-fno-omit-frame-pointer"),
    "O2-compressed": ("gcc", "-g", "-gz", "-O2"),
    "static": ("gcc", "-g", "-O1", "-static"),
}


@dataclass
class Opened:
    standing: StandingProcess
    process: LiveProcess
    images: ImageStore
    symbols: SymbolTable
    unwinder: Unwinder
    frames: tuple[Frame, ...]
    optimised: bool

    def said(self, kind: str) -> list[list[str]]:
        return [line[1:] for line in self.standing.lines if line[0] == kind]


@pytest.fixture(scope="module", params=BUILDS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    compiler, *flags = BUILDS[request.param]
    program = build("variables.c", tmp_path_factory.mktemp("program") / "variables", *flags, compiler=compiler)
    with StandingProcess([program]) as standing, LiveProcess(standing.pid) as process:
        images = ImageStore(process.files)
        symbols = open_symbols(process.modules, images)
        unwinder = Unwinder(
            process.memory,
            process.modules,
            process.files,
            X86_64,
            symbols,
            mappings=process.mappings,
            steps=StepStore(images),
        )
        stack = unwinder.unwind(standing.pid, gdb_stacks(standing.pid)[standing.pid].registers)
        yield Opened(standing, process, images, symbols, unwinder, stack.frames, "-O0" not in flags)


def frame_name(frame: Frame) -> str:
    """The function's name without what gcc adds to a clone (.constprop.0)."""
    return (frame.function or "").partition(".")[0]


def test_locals_are_found_by_any_of_their_bytes(opened: Opened) -> None:
    known = opened.said("local")
    assert len(known) == 8
    for function, name, address_text, size_text in known:
        frame = next(frame for frame in opened.frames if frame_name(frame) == function)
        address, size = int(address_text, 16), int(size_text)
        assert frame.extent is not None
        assert address in frame.extent
        values = FrameValues(frame.cfa, opened.unwinder.frame_registers(frame))
        for place in (address, address + size - 1):
            variable = opened.symbols.find_variable(frame.pc - 1, values, place)
            if variable is None and name == "parameter" and opened.optimised:
                continue  # gcc's location list for it ends before this pc: gdb knows no place either
            assert variable is not None, (function, name)
            assert (variable.name, variable.place, variable.size) == (name, address, size)
            assert variable.is_parameter == (name == "parameter")


def test_an_address_between_variables_is_none(opened: Opened) -> None:
    frame = next(frame for frame in opened.frames if frame_name(frame) == "outer")
    values = FrameValues(frame.cfa, opened.unwinder.frame_registers(frame))
    assert frame.cfa is not None
    assert opened.symbols.find_variable(frame.pc - 1, values, frame.cfa - 8) is None  # the return address


def test_thread_locals_lie_where_the_program_says(opened: Opened) -> None:
    main = next(module for module in opened.process.modules if module.is_main)
    variables = {variable.name: variable for variable in opened.symbols.tls_variables(main)}
    image = opened.images.find_image(main)
    assert image is not None
    segment = image.find_segment(PT_TLS)
    assert segment is not None
    # psABI, variant II: the executable's block ends at the thread pointer, aligned.
    pointer = int(opened.said("pointer")[0][0], 16)
    block = (pointer - segment.memory_size) // segment.alignment * segment.alignment
    rendered = {}
    for name, address_text, size_text in opened.said("tls"):
        variable = variables[name]
        assert block + variable.offset == int(address_text, 16), name
        assert variable.size == int(size_text)
        rendered[name] = variable.render(opened.process.memory.read(block + variable.offset, variable.size))
    number = next(int(address, 16) for name, address, _ in opened.said("global") if name == "global_number")
    assert rendered == {
        "count": "42",
        "greeting": '"hello"',
        "corner": "{x = -1, y = 7, label = 0x0, flags = 5, rest = 0}",
        "shade": "GREEN",
        "ratio": "1.5",
        "pointing": hex(number),
        "zeroed": "{0, 9, 0}",
    }
    types = {name: variables[name].type_name for name in rendered}
    assert (
        types
        == {
            "count": "int",
            "greeting": "char[16]",
            "corner": "struct point",
            "shade": "enum colour",
            "ratio": "double",
            "pointing": "const int *",
            "zeroed": "long[3]",
        }
        or types["zeroed"] == "long int[3]"
    )


def test_globals_have_types(opened: Opened) -> None:
    for name, address_text, size_text in opened.said("global"):
        variable = opened.symbols.find_global(int(address_text, 16) + 1)
        assert variable is not None
        assert (variable.name, hex(variable.place), variable.size) == (name, f"0x{address_text}", int(size_text))
        assert variable.type.name == {"global_number": "int", "global_corner": "struct point"}[name]


def test_thread_locals_by_symbols_where_there_is_no_debug_information(tmp_path: Path) -> None:
    program = build("variables.c", tmp_path / "variables", "-O1")
    with StandingProcess([program]) as standing, LiveProcess(standing.pid) as process:
        symbols = open_symbols(process.modules, ImageStore(process.files))
        main = next(module for module in process.modules if module.is_main)
        found = {
            variable.name: (variable.size, variable.type_name, variable.render(b""))
            for variable in symbols.tls_variables(main)
        }
        assert found["greeting"] == (16, None, None)
        assert set(found) == {"count", "greeting", "corner", "shade", "ratio", "pointing", "zeroed"}
        libc = next(module for module in process.modules if module.name.startswith("libc.so"))
        assert "errno" in {variable.name for variable in symbols.tls_variables(libc)}
