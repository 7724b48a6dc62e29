"""What to do at one pc to get to the caller: rows of call frame information made ready to run, and kept by build id and pc."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tinspect.errors import FormatError
from tinspect.formats.cfi import RegisterRule, RuleKind, UnwindRow, compute_row
from tinspect.formats.eh_frame import CallFrameTable
from tinspect.model.module import Module
from tinspect.symbols.images import ImageKey, ImageStore, image_key

_CACHE_LIMIT = 1 << 17


@dataclass(frozen=True, slots=True)
class UnwindStep:
    """One row, sorted by what is common: ``saved`` are (register, offset from the CFA), ``others`` all remaining rules.

    ``is_last`` is True where the return address is undefined: the frame has no caller (DWARF 5, 6.4.4).
    """

    cfa_register: int
    cfa_offset: int
    cfa_expression: bytes
    saved: tuple[tuple[int, int], ...]
    others: tuple[tuple[int, RegisterRule], ...]
    return_column: int
    is_last: bool
    is_signal_frame: bool
    address_signed: bool


class Steps(Protocol):
    """Where an unwinder takes its steps from."""

    def find_step(self, module: Module, address: int) -> UnwindStep | None:
        """The step at ``address`` of the target, or None where nothing sound is known about it."""
        ...


class StepStore:
    """Steps for any module, found once for each (file, pc): most threads wait at the same few addresses."""

    def __init__(self, images: ImageStore) -> None:
        self.images = images
        self._tables: dict[ImageKey, tuple[CallFrameTable, ...]] = {}
        self._steps: dict[tuple[ImageKey, int], UnwindStep | None] = {}

    def find_step(self, module: Module, address: int) -> UnwindStep | None:
        """The step at ``address`` of the target, or None where the module has no sound information about it."""
        key = (image_key(module), address - module.load_bias)
        if key not in self._steps:
            if len(self._steps) >= _CACHE_LIMIT:
                self._steps.clear()
            self._steps[key] = self._compute(module, key[1])
        return self._steps[key]

    def _compute(self, module: Module, pc: int) -> UnwindStep | None:
        for table in self._module_tables(module):
            try:
                entry = table.find(pc)
                if entry is not None:
                    return compile_step(compute_row(entry, pc))
            except FormatError:
                continue
        return None

    def _module_tables(self, module: Module) -> tuple[CallFrameTable, ...]:
        """The tables of the image, and of its debug file (for .debug_frame) where the image alone does not tell."""
        key = image_key(module)
        if key not in self._tables:
            images = (self.images.find_image(module), self.images.find_debug_image(module))
            self._tables[key] = tuple(CallFrameTable(image) for image in images if image is not None)
        return self._tables[key]


def compile_step(row: UnwindRow) -> UnwindStep:
    """``row`` made ready to run."""
    rules = row.rules
    returns = rules.get(row.return_column)
    saved = tuple((register, rule.value) for register, rule in rules.items() if rule.kind is RuleKind.OFFSET)
    others = tuple((register, rule) for register, rule in rules.items() if rule.kind is not RuleKind.OFFSET)
    return UnwindStep(
        cfa_register=row.cfa_register,
        cfa_offset=row.cfa_offset,
        cfa_expression=row.cfa_expression,
        saved=saved,
        others=others,
        return_column=row.return_column,
        is_last=returns is not None and returns.kind is RuleKind.UNDEFINED,
        is_signal_frame=row.is_signal_frame,
        address_signed=row.address_signed,
    )
