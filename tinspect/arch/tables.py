"""Which architectures there are."""

from __future__ import annotations

from tinspect.arch.aarch64 import AARCH64
from tinspect.arch.architecture import Architecture
from tinspect.arch.x86_64 import X86_64
from tinspect.errors import UnsupportedTarget

ARCHITECTURES: tuple[Architecture, ...] = (X86_64, AARCH64)


def resolve_architecture(elf_machine: int) -> Architecture:
    """The table for ``e_machine`` of an ELF header (elf.h). Raises UnsupportedTarget when there is none."""
    for architecture in ARCHITECTURES:
        if architecture.elf_machine == elf_machine:
            return architecture
    raise UnsupportedTarget(
        f"ELF machine {elf_machine} is not supported.", "tinspect knows 64-bit x86 (62) and aarch64 (183)."
    )
