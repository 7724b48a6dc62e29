"""What a TARGET on the command line is: a running process, a core dump, or a saved report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinspect.cli.arguments import process_id
from tinspect.errors import TinspectError, UsageError

if TYPE_CHECKING:
    from tinspect.cli.services import Session
    from tinspect.model.options import AttachOptions, Progress
    from tinspect.model.report import ProcessReport

_EXECUTABLE_TYPES = (2, 3)  # ET_EXEC, ET_DYN (elf(5))


def is_process(target: str) -> bool:
    """Whether TARGET is a pid: digits alone. A core file of such a name is written ./123."""
    return target.isascii() and target.isdigit()


def ordered_core(first: str, second: str | None) -> tuple[str, str | None]:
    """Core and executable, whichever order they came in: the first few bytes tell. Raises UsageError when neither is a core."""
    if not _is_executable(first):
        return first, second
    if second is None or _is_executable(second):
        raise UsageError(f"{first} is an executable, not a core.", "Give the core as well.")
    return second, first


def _is_executable(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            head = file.read(18)
    except OSError:
        return False
    return head[:4] == b"\x7fELF" and len(head) == 18 and int.from_bytes(head[16:18], "little") in _EXECUTABLE_TYPES


def target_report(
    session: Session,
    target: str,
    options: AttachOptions,
    progress: Progress,
    *,
    executable: str | None,
    sysroot: str | None,
) -> ProcessReport:
    """The report on whatever TARGET is. Raises TinspectError."""
    if is_process(target):
        return session.attach_report(process_id(target), options, progress)
    saved = _read_saved(target)
    if saved is not None:
        from tinspect.formats.report_json import parse_report

        return parse_report(saved)
    core, program = ordered_core(target, executable)
    return session.core_report(core, program, options, sysroot, progress)


def _read_saved(path: str) -> bytes | None:
    """The bytes of a JSON report, or None when the file does not start like one."""
    try:
        with Path(path).open("rb") as file:
            return file.read() if file.read(1) == b"{" and file.seek(0) == 0 else None
    except FileNotFoundError:
        return None  # may be a name that coredumpctl knows
    except OSError as problem:
        raise TinspectError(f"{path} cannot be read: {problem.strerror}.") from problem
