"""The part in focus as a file: text, JSON, SVG; or the whole report as a web page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tinspect.errors import TinspectError, UsageError
from tinspect.tui.columns import list_layout, list_row
from tinspect.tui.drawing import Brush, Memory, draw_content
from tinspect.tui.panes.content import Content, table_content
from tinspect.tui.state import Focus, State
from tinspect.views.html import html_page
from tinspect.views.span import Line, plain_text
from tinspect.views.svg_text import text_drawing
from tinspect.views.table import Table

_NARROWEST = 120
_KINDS = ("txt", "json", "svg", "html")


def write_export(state: State, path: str) -> str:
    """Writes the part in focus to ``path``, in the format its ending names; what was written, in words. Raises TinspectError."""
    target = Path(path).expanduser()
    kind = target.suffix.lstrip(".")
    if kind not in _KINDS:
        raise UsageError(f"“{target.name}” ends in none of .txt, .json, .svg, .html.", "The ending chooses the format.")
    try:
        target.write_text(export_text(state, kind), encoding="utf-8")
    except OSError as problem:
        raise TinspectError(f"{target} cannot be written: {problem.strerror}.") from problem
    return f"Written to {target}."


def export_text(state: State, kind: str) -> str:
    """The file's text; ``kind`` is "txt", "json", "svg" or "html"."""
    if state.moment is None:
        raise TinspectError("There is nothing to export yet.")
    if kind == "html":
        return html_page(state.moment.report)
    content = state.content if state.focus is Focus.PANE else table_content([_list_table(state)])
    if kind == "json":
        return json.dumps(_json(state, content), indent=1, ensure_ascii=False) + "\n"
    width = max(state.columns, _NARROWEST)
    lines = _all_lines(content, width)
    return plain_text(lines) if kind == "txt" else text_drawing(lines, width, _title(state))


def _title(state: State) -> str:
    report = state.moment.report if state.moment else None
    name = report.target.executable.rsplit("/", 1)[-1] if report else ""
    return f"tinspect: {name} {report.target.pid if report and report.target.pid else ''}".strip()


def _list_table(state: State) -> Table:
    """The whole list, as wide as it likes."""
    scene = state.scene
    if scene is None:
        raise TinspectError("There is nothing to export yet.")
    layout = list_layout(scene, 1 << 16, state.grouped)
    rows = tuple(list_row(scene, layout, item) for item in state.listing.items)
    return replace(layout.table, title=f"Threads: {len(scene.moment.threads):,}", rows=rows)


def _all_lines(content: Content, width: int) -> list[Line]:
    drawn = draw_content(content, Brush(Memory()), width, 1 << 20, 0, None)
    return [line for line, at in zip(drawn.lines, drawn.positions, strict=True) if at is not None]


def _json(state: State, content: Content) -> dict[str, object]:
    taken = state.moment.clock if state.moment else None
    return {
        "schema": "tinspect.pane/1",
        "pane": state.pane.value if state.focus is Focus.PANE else "threads",
        "tid": state.tid,
        "taken": taken,
        "tables": [_table(table) for table in content.tables],
    }


def _table(table: Table) -> dict[str, object]:
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, (cell.text.strip() for cell in row.cells), strict=True)) for row in table.rows]
    return {
        "name": table.name,
        "title": table.title,
        "columns": [column.title for column in table.columns],
        "rows": rows,
    }
