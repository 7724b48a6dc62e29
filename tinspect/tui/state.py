"""All that the screen shows, as one frozen value. Keys, mouse, refreshes and time make a new one of it (tinspect.tui.updates)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tinspect.model.crash import Instruction
from tinspect.model.whatis import WhatIs
from tinspect.tui.columns import Scene
from tinspect.tui.geometry import Areas, areas
from tinspect.tui.moment import Moment
from tinspect.tui.panes.content import EMPTY, Content
from tinspect.tui.panes.kinds import Pane
from tinspect.views.grouping import ThreadGroup
from tinspect.views.table import Role


class Focus(StrEnum):
    """Which part the moving keys move."""

    LIST = "list"
    PANE = "pane"


class PromptKind(StrEnum):
    """What a line being typed is for."""

    FILTER = "filter"
    SEARCH = "search"
    WHATIS = "whatis"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A line being typed. ``before`` is what Escape brings back."""

    kind: PromptKind
    text: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What the last line says until the next key."""

    text: str
    role: Role = Role.NOTE


@dataclass(frozen=True, slots=True)
class Sort:
    """The order of the list: a column, and the direction."""

    key: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of the list in their order, and the position of each thread: one row a thread, or a group of alike ones."""

    items: tuple[ThreadGroup, ...] = ()
    positions: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one was before following a reference."""

    tid: int
    pane: Pane
    key: str | None
    focus: Focus


@dataclass(frozen=True, slots=True)
class Refreshing:
    """How the picture is kept up to date. ``still`` says why there will be no refresh any more ("core dump", "it has ended"), "" while
    there will; ``trouble`` why the last one failed; ``stopping`` that each refresh stops the target; ``step`` what is being done."""

    interval: float = 2.0
    paused: bool = False
    stopping: bool = False
    running: bool = False
    step: str = ""
    still: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Basis:
    """What the panes about the process are made from: the numbers of the moments, and the last answer."""

    moment: int | None
    earlier: int | None
    held: int | None
    answer: WhatIs | None


@dataclass(frozen=True, slots=True)
class State:
    """The whole screen."""

    columns: int = 80
    lines: int = 24
    moment: Moment | None = None
    previous: Moment | None = None
    held: Moment | None = None
    refreshing: Refreshing = Refreshing()
    listing: Listing = Listing()
    tid: int | None = None
    top: int = 0
    sort: Sort | None = None
    filter: str = ""
    grouped: bool = False
    opened: frozenset[int] = frozenset()
    pane: Pane = Pane.FRAMES
    focus: Focus = Focus.LIST
    content: Content = EMPTY
    ready: Mapping[Pane, Content] = field(default_factory=dict)
    cursor: int = 0
    pane_top: int = 0
    search: str = ""
    trail: tuple[Place, ...] = ()
    code: Mapping[int, tuple[Instruction, ...]] = field(default_factory=dict)
    answer: WhatIs | None = None
    prompt: Prompt | None = None
    message: Message | None = None
    help_top: int | None = None

    @property
    def basis(self) -> Basis:
        """What the panes about the process are made from."""
        return Basis(
            self.moment.number if self.moment else None,
            self.earlier.number if self.earlier else None,
            self.held.number if self.held else None,
            self.answer,
        )

    @property
    def areas(self) -> Areas:
        """Where things stand."""
        return areas(self.columns, self.lines)

    @property
    def earlier(self) -> Moment | None:
        """The moment that changes are told against: the held one, else the one before."""
        return self.held if self.held is not self.moment and self.held is not None else self.previous

    @property
    def scene(self) -> Scene | None:
        """What the list's cells are made from."""
        return Scene(self.moment, self.earlier, self.earlier is self.held is not None) if self.moment else None

    @property
    def at(self) -> int:
        """The position of the selected thread in the list."""
        return self.listing.positions.get(self.tid, 0) if self.tid is not None else 0
