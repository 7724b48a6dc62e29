"""Bars of used and peak, drawn in character cells."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from tinspect.views.span import Line, Span
from tinspect.views.table import Bar, LegendEntry, Role

_GUARDS = {True: "▌", False: "|"}
_SIGNS = {True: ("█", "▒", "·"), False: ("#", "+", ".")}

BAR_LEGEND = (
    LegendEntry("█", Role.USED, "used now"),
    LegendEntry("▒", Role.PEAK, "touched before"),
    LegendEntry("·", Role.FREE, "never touched"),
)


def bar_spans(bar: Bar, width: int, unicode: bool = True) -> Line:
    """The bar in exactly ``width`` cells. What is in use at all takes at least one cell, and full alone fills the last. Where it is known
    whether a guard ends it, the last cell shows that."""
    if bar.guarded is not None and width > 1:
        guard = Span(_GUARDS[unicode], Role.GOOD) if bar.guarded else Span("!", Role.WARNING)
        return (*bar_spans(replace(bar, guarded=None), width - 1, unicode), guard)
    if bar.used is None and bar.peak is None:
        return (Span("?".ljust(width), Role.DIM),)
    used = _cells(bar.used or 0.0, width)
    peak = max(_cells(bar.peak or 0.0, width), used)
    signs = _SIGNS[unicode]
    parts = (
        (signs[0] * used, Role.USED),
        (signs[1] * (peak - used), Role.PEAK),
        (signs[2] * (width - peak), Role.FREE),
    )
    return tuple(Span(text, _warned(role, bar)) for text, role in parts if text)


def _cells(fraction: float, width: int) -> int:
    if fraction >= 1:
        return width
    return min(ceil(fraction * width), max(width - 1, 1)) if fraction > 0 else 0


def _warned(role: Role, bar: Bar) -> Role:
    """Nearly full is a warning whichever way it was reached."""
    fullest = max(bar.used or 0.0, bar.peak or 0.0)
    if role is Role.USED and fullest >= 0.9:
        return Role.ERROR if (bar.used or 0.0) >= 0.9 else Role.WARNING
    return role
