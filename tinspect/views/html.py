"""The report as one web page that needs nothing else: no network, no script. What comes from the target stands in it as plain text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tinspect.model.options import ALL_SECTIONS, Section
from tinspect.model.report import ProcessReport
from tinspect.views.html_style import COLOURS, STYLE
from tinspect.views.matrix import reference_matrix
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.report import report_tables
from tinspect.views.span import Line
from tinspect.views.summary import summary_lines
from tinspect.views.svg import inert, map_drawing, matrix_drawing, stacks_drawing
from tinspect.views.table import Align, Bar, Cell, Column, Row, Table

# Belt and braces: even if a name got out of its quotes, the browser would run and load nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_BAR_WIDTH = 160
_URGENT = frozenset(("crash", "findings", "incomplete"))


def html_page(
    report: ProcessReport, sections: Collection[Section] = ALL_SECTIONS, options: ViewOptions = DEFAULT_VIEW
) -> str:
    """The whole page: summary, drawings, tables."""
    tables = report_tables(report, sections, options)
    # What is wrong comes first here; on a terminal it comes last, next to the prompt.
    urgent = [table for table in tables if table.name in _URGENT]
    ordered = [*urgent, *(table for table in tables if table.name not in _URGENT)]
    shown = [_section(f"table-{number}", table.title, _table(table)) for number, table in enumerate(ordered)]
    parts = [*shown[: len(urgent)], *_drawings(report, sections, options), *shown[len(urgent) :]]
    first, *rest = summary_lines(report, sections)
    name = inert("".join(span.text for span in first).strip())
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>tinspect: {name}</title><style>{STYLE}</style></head><body>",
            f"<header><h1>{_line(first)}</h1>{''.join(f'<p>{_line(line)}</p>' for line in rest)}</header>",
            _navigation(ordered),
            f"<main>{''.join(parts)}</main>",
            "</body></html>\n",
        )
    )


def _line(line: Line) -> str:
    return "".join(f'<span class="{span.role.value}">{inert(span.text)}</span>' for span in line)


def _navigation(tables: Iterable[Table]) -> str:
    links = "".join(f'<a href="#table-{number}">{inert(table.title)}</a>' for number, table in enumerate(tables))
    return f"<nav>{links}</nav>"


def _section(key: str, title: str, content: str) -> str:
    return f'<section id="{key}"><h2>{inert(title)}</h2>{content}</section>'


def _drawings(report: ProcessReport, sections: Collection[Section], options: ViewOptions) -> Iterator[str]:
    if Section.STACKS in sections and (drawing := stacks_drawing(report, options)):
        legend = _legend(used="used now", peak="touched before", free="never touched", guard="guard")
        yield _section("stacks", "Stacks to scale, low addresses left", _scroll(drawing) + legend)
    if Section.PROCESS in sections and (drawing := map_drawing(report)):
        legend = _legend(used="stack", guard="guard", altstack="alternate stack", cached="cached stack")
        yield _section("map", "Where they lie", _scroll(drawing) + legend)
    if Section.REFS in sections and (drawing := matrix_drawing(report, reference_matrix(report, options))):
        yield _section("matrix", "Who points into whose stack", _scroll(drawing))


def _scroll(content: str) -> str:
    return f'<div class="scroll">{content}</div>'


def _legend(**entries: str) -> str:
    items = (
        f'<span><i style="background:{COLOURS[name]}"></i>{inert(words)}</span>' for name, words in entries.items()
    )
    return f'<div class="legend">{"".join(items)}</div>'


def _table(table: Table) -> str:
    notes = "".join(f'<p class="notes">{inert(note)}</p>' for note in table.notes)
    if not table.rows:
        return f'<p class="dim">{inert(table.empty)}</p>{notes}'
    head = "".join(f"<th{_side(column)}>{inert(column.title)}</th>" for column in table.columns)
    rows = "".join(_row(table, row) for row in table.rows)
    return f"{_scroll(f'<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')}{notes}"


def _side(column: Column) -> str:
    return ' class="right"' if column.align is Align.RIGHT else ""


def _row(table: Table, row: Row) -> str:
    return f"<tr>{''.join(map(_cell, table.columns, row.cells))}</tr>"


def _cell(column: Column, cell: Cell) -> str:
    if cell.bar is not None:
        return f"<td>{_bar(cell.bar, cell.text)}</td>"
    classes = [cell.role.value]
    classes += ["right"] if column.align is Align.RIGHT else []
    classes += ["wrap"] if column.wrap else []
    return f'<td class="{" ".join(classes)}">{inert(cell.text)}</td>'


def _bar(bar: Bar, words: str) -> str:
    if bar.used is None and bar.peak is None:
        return '<span class="dim">?</span>'
    used = (bar.used or 0.0) * _BAR_WIDTH
    peak = max((bar.peak or 0.0) * _BAR_WIDTH, used)
    shapes = (("free", _BAR_WIDTH), ("peak", peak), ("used", used))
    rects = "".join(
        f'<rect class="{kind}" width="{max(width, 1.5):.1f}" height="12"></rect>' for kind, width in shapes if width
    )
    return f'<svg class="bar" width="{_BAR_WIDTH}" height="12" role="img" aria-label="{inert(words)}">{rects}</svg>'
