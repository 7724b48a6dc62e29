"""The panes there are: name, title, and whether each speaks of the selected thread or of the process."""

from __future__ import annotations

from enum import StrEnum


class Pane(StrEnum):
    """A pane, in the order of the tabs."""

    FRAMES = "frames"
    REGISTERS = "registers"
    CODE = "code"
    STACK = "stack"
    TLS = "tls"
    REFS = "refs"
    SCOPES = "scopes"
    PROCESS = "process"
    MAP = "map"
    MATRIX = "matrix"
    LOCKS = "locks"
    FINDINGS = "findings"
    COMPARE = "compare"
    WHATIS = "whatis"


THREAD_PANES = (Pane.FRAMES, Pane.REGISTERS, Pane.CODE, Pane.STACK, Pane.TLS, Pane.REFS, Pane.SCOPES)
PROCESS_PANES = (Pane.PROCESS, Pane.MAP, Pane.MATRIX, Pane.LOCKS, Pane.FINDINGS, Pane.COMPARE, Pane.WHATIS)
