"""The drawings of the web page as inline SVG: stacks to scale, the map of the address space, the matrix."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.text import printable
from tinspect.views.address_map import MapCluster, MapPiece, map_clusters
from tinspect.views.grouping import ThreadGroup, thread_groups
from tinspect.views.matrix import VERDICT_ROLES, VERDICT_WORDS, Matrix, end_words
from tinspect.views.options import ViewOptions
from tinspect.views.stacks import stack_bar
from tinspect.views.words import address_words, size_words

_WIDTH = 960
_LABEL = 270
_ROW = 20
_BAR = 13
_GUARD = 40
_LEAST = 1.5
"""Pixels that the smallest thing still gets."""


def inert(text: str) -> str:
    """Text for HTML and SVG, in elements and attributes alike."""
    return escape(printable(text), quote=True)


def _rect(kind: str, x: float, y: float, width: float, *, height: float = _BAR, title: str = "") -> str:
    note = f"<title>{inert(title)}</title>" if title else ""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">{note}</rect>'


def _text(words: str, x: float, y: float, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{inert(words)}</text>'


def _drawing(parts: Iterable[str], height: float, label: str, width: float = _WIDTH) -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg role="img" aria-label="{inert(label)}" {box}>{"".join(parts)}</svg>'


def stacks_drawing(report: ProcessReport, options: ViewOptions) -> str:
    """One bar a stack, all on one scale: the guard at its low end, used and peak from its high end. "" when no stack is known."""
    groups = [group for group in thread_groups(report, options) if group.first.stack is not None]
    largest = max((group.first.stack.range.size for group in groups if group.first.stack), default=0)
    if not largest:
        return ""
    room = _WIDTH - _LABEL - 90
    parts = [part for row, group in enumerate(groups) for part in _stack_row(group, row * _ROW, room / largest)]
    return _drawing(parts, len(groups) * _ROW + 4, "stacks to scale")


def _stack_row(group: ThreadGroup, y: float, scale: float) -> Iterable[str]:
    entry = max(group.members, key=lambda member: stack_bar(member).used or 0.0)
    if entry.stack is None:
        return
    stack = entry.stack.range
    width = max(stack.size * scale, _LEAST)
    bar = stack_bar(entry)
    title = f"{address_words(stack.low)}–{address_words(stack.high)}, {size_words(stack.size)}{_use_words(entry)}"
    yield _text(f"{group.tid_cell().text} {group.name_cell().text}", _LABEL - _GUARD - 8, y + _BAR, anchor="end")
    is_known = bar.used is not None or bar.peak is not None
    yield _rect("free" if is_known else "outline", _LABEL, y + 2, width, title=title)
    for kind, share in (("peak", bar.peak), ("used", bar.used)):
        if share:
            part = max(share * width, _LEAST)
            yield _rect(kind, _LABEL + width - part, y + 2, part, title=title)
    guard = entry.guard.range if entry.guard else None
    if guard is not None:
        part = max(min(guard.size * scale, _GUARD), 3)
        yield _rect("guard", _LABEL - part, y + 2, part, title=f"guard, {size_words(guard.size)}")
    yield _text(size_words(stack.size), _LABEL + width + 6, y + _BAR, "dim")


def _use_words(entry: ThreadReport) -> str:
    use = entry.use
    used = f", used {size_words(use.used)}" if use and use.used is not None else ""
    return used + (f", peak {size_words(use.peak)}" if use and use.peak is not None else "")


def map_drawing(report: ProcessReport, limit: int = 64) -> str:
    """The stretches of the address space that are stacks and their like, one line a cluster. "" when there are none."""
    clusters = map_clusters(report)[-limit:]
    if not clusters:
        return ""
    parts = [part for row, cluster in enumerate(clusters) for part in _cluster_row(cluster, row * (_ROW + 4))]
    return _drawing(parts, len(clusters) * (_ROW + 4) + 4, "map of the address space")


def _cluster_row(cluster: MapCluster, y: float) -> Iterable[str]:
    room = _WIDTH - _LABEL - 90
    yield _text(address_words(cluster.range.low), _LABEL - 8, y + _BAR, "mono", "end")
    yield _rect("outline", _LABEL, y + 2, room)
    drawn = set()
    # Wide things first, so that the narrow ones stay visible; and of many that fall on one pixel, one.
    for piece in sorted(cluster.pieces, key=lambda piece: -piece.width):
        place = piece.region.kind, int(piece.start * room), int(piece.width * room)
        if place not in drawn:
            drawn.add(place)
            yield _piece(piece, y, room)
    yield _text(size_words(cluster.range.size), _LABEL + room + 6, y + _BAR, "dim")


def _piece(piece: MapPiece, y: float, room: float) -> str:
    region = piece.region
    kind = region.kind if region.kind in {"stack", "guard", "altstack", "cached_stack"} else "other"
    edges = f"{address_words(region.range.low)}–{address_words(region.range.high)}"
    title = f"{region.label} {edges}, {size_words(region.range.size)}"
    return _rect(kind, _LABEL + piece.start * room, y + 2, max(piece.width * room, _LEAST), title=title)


def matrix_drawing(report: ProcessReport, matrix: Matrix) -> str:
    """Rows point, columns are pointed to; colour is the worst verdict. "" when there are no references."""
    if not matrix.counts:
        return ""
    names = {entry.thread.tid: entry.thread.name for entry in report.threads}
    cell, top = 28, 130
    parts = []
    for column, target in enumerate(matrix.targets):
        x = _LABEL + column * cell + cell / 2 + 4
        words = inert(end_words(target, names)[:24])
        parts.append(f'<text transform="translate({x:.0f} {top - 8}) rotate(-60)">{words}</text>')
    for row, source in enumerate(matrix.sources):
        y = top + row * cell
        parts.append(_text(end_words(source, names)[:30], _LABEL - 8, y + 18, anchor="end"))
        for column, target in enumerate(matrix.targets):
            found = matrix.counts.get((source, target))
            x = _LABEL + column * cell
            if found is None:
                parts.append(_rect("outline", x, y, cell - 2, height=cell - 2))
                continue
            count, verdict = found
            title = f"{end_words(source, names)} → {end_words(target, names)}: {count}, worst: {VERDICT_WORDS[verdict]}"
            parts.append(_rect(f"fill-{VERDICT_ROLES[verdict]}", x, y, cell - 2, height=cell - 2, title=title))
            parts.append(_text(str(count), x + cell / 2 - 1, y + 18, "count", "middle"))
    width = max(_LABEL + len(matrix.targets) * cell + 120, 400)
    return _drawing(parts, top + len(matrix.sources) * cell + 4, "who points into whose stack", width)
