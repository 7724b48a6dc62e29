"""The files behind modules: found by path, by map_files, or by build id; taken only when the build id is the target's.

Shared by all backends. A file is mapped, not read. What could not be had, or did not fit, is told as gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from tinspect.errors import FormatError
from tinspect.formats.elf import ElfImage
from tinspect.model.gap import Gap
from tinspect.model.module import Module
from tinspect.symbols.debug_files import open_debug_file, open_linked_file, open_mapped

Finder = Callable[[Module], Iterable[Path]]
FindMisfit = Callable[[Module, memoryview], str | None]

DEBUG_ROOT: Final = Path("/usr/lib/debug")


class FoundModuleFiles:
    """A ModuleFiles that asks its finders in order and remembers each module's answer.

    ``memory_image`` gives the image of a module that no file has (the vdso), or None. Separate debug files are looked for below each of
    ``roots``, which stand for "/". ``find_misfit`` is asked about the file of a module without a build id: what of it contradicts
    the target, or None.
    """

    def __init__(
        self,
        finders: Iterable[Finder],
        memory_image: Callable[[Module], bytes | memoryview | None] = lambda _: None,
        roots: Iterable[str] = ("",),
        find_misfit: FindMisfit = lambda *_: None,
    ) -> None:
        self._finders = tuple(finders)
        self._roots = tuple(roots)
        self._memory_image = memory_image
        self._find_misfit = find_misfit
        self._images: dict[tuple[str, str, int], bytes | memoryview | None] = {}
        self._gaps: dict[tuple[str, str, int], Gap] = {}

    def open_image(self, module: Module) -> bytes | memoryview | None:
        """See ModuleFiles."""
        # Two modules of one path can be loaded at once (dlmopen, or a file replaced in between).
        key = (module.path, module.build_id, 0 if module.build_id else module.range.low)
        if key not in self._images:
            self._images[key], gap = self._search(module)
            if gap is not None:
                self._gaps[key] = gap
        return self._images[key]

    def open_debug(self, build_id: str) -> memoryview | None:
        """See ModuleFiles."""
        return open_debug_file(build_id, self._roots)

    def open_debug_link(self, module: Module, name: str) -> memoryview | None:
        """See ModuleFiles."""
        return open_linked_file(module.path, name, self._roots)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was wrong with the modules opened so far."""
        return tuple(self._gaps.values())

    def _search(self, module: Module) -> tuple[bytes | memoryview | None, Gap | None]:
        image = self._memory_image(module) if module.is_vdso else None
        if image is not None:
            return image, None
        rejected: list[str] = []
        for path in self._candidates(module):
            view = open_mapped(path)
            if view is None:
                continue
            build_id = elf_build_id(view)
            if build_id is None:
                rejected.append(f"{path} is no ELF file")
            elif module.build_id and build_id != module.build_id:
                rejected.append(f"{path} has build id {build_id or 'none'}")
            elif not module.build_id and (misfit := self._find_misfit(module, view)):
                rejected.append(f"{path} {misfit}")
            else:
                return view, _unproved(module, path)
        image = self._memory_image(module)
        return image, None if image is not None or module.is_vdso else _missing(module, rejected)

    def _candidates(self, module: Module) -> Iterator[Path]:
        seen: set[Path] = set()
        for finder in self._finders:
            for path in finder(module):
                if path not in seen:
                    seen.add(path)
                    yield path


def _unproved(module: Module, path: Path) -> Gap | None:
    if module.build_id:
        return None
    return Gap("modules", f"{module.name} has no build id in the target: {path} was taken, unproved, for its file.")


def _missing(module: Module, rejected: list[str]) -> Gap:
    wanted = f" (build id {module.build_id})" if module.build_id else ""
    if rejected:
        why = f"The file of {module.name} is not the one that ran{wanted}: {'; '.join(rejected)}."
        return Gap("modules", f"{why} Name the right one, or a --sysroot that holds it.")
    return Gap(
        "modules",
        f"There is no file for {module.path or module.name or 'the executable'}{wanted}. Name it, or a --sysroot that holds it.",
    )


def elf_build_id(image: bytes | memoryview) -> str | None:
    """The build id of an ELF file, "" when it has none, None when ``image`` is no 64-bit little-endian ELF file."""
    try:
        return ElfImage(image).build_id
    except FormatError:
        return None


def by_path(root: Path | None = None) -> Finder:
    """The module's own path, below ``root`` (a sysroot, or /proc/PID/root) or as it is; for a deleted one only with a build id."""

    def find(module: Module) -> Iterator[Path]:
        if module.path.startswith("/") and (module.build_id or not module.deleted) and "\0" not in module.path:
            yield root / module.path.lstrip("/") if root else Path(module.path)

    return find


def by_name_below(root: Path) -> Finder:
    """A file of the module's name right in ``root``: a folder into which somebody gathered a core's libraries."""

    def find(module: Module) -> Iterator[Path]:
        name = module.path.rpartition("/")[2]
        if name not in ("", ".", "..") and "\0" not in name:
            yield root / name

    return find


def by_build_id(roots: Iterable[Path] = (DEBUG_ROOT,)) -> Finder:
    """ROOT/.build-id/xx/yyyy, the link to the file itself (gdb: "Debugging Information in Separate Files")."""
    folders = tuple(root / ".build-id" for root in roots)

    def find(module: Module) -> Iterator[Path]:
        if len(module.build_id) > 2:
            yield from (folder / module.build_id[:2] / module.build_id[2:] for folder in folders)

    return find


def by_given_executable(path: Path) -> Finder:
    """The file its user named, for the main module."""
    return lambda module: (path,) if module.is_main else ()


def by_process(pid: int) -> Finder:
    """The files a living process has mapped: exe, map_files (deleted ones included), and its own mount namespace's root.

    map_files needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (proc(5)); without it, deleted libraries are not found here.
    """
    process = Path(f"/proc/{pid}")

    def find(module: Module) -> Iterator[Path]:
        if module.is_main:
            yield process / "exe"
        if module.path.startswith("/"):
            yield from _mapped_files(process, module.range.low)
        yield from by_path(process / "root")(module)

    return find


def _mapped_files(process: Path, low: int) -> Iterator[Path]:
    """The entry of map_files whose mapping starts at ``low``."""
    try:
        prefix = f"{low:x}-"
        yield from (entry for entry in (process / "map_files").iterdir() if entry.name.startswith(prefix))
    except OSError:
        return
