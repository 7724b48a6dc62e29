"""Every section at every width: no exception, no address cut, nothing raw from the target, no line too long."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.reports import HOSTILE_NAMES, any_report, crowd, renamed, sample_report
from tinspect.model.options import ALL_SECTIONS, Section
from tinspect.model.report import ProcessReport
from tinspect.views.layout import fit_columns, table_lines
from tinspect.views.options import ViewOptions
from tinspect.views.registers import registers_table
from tinspect.views.report import report_tables, section_tables
from tinspect.views.span import plain_text
from tinspect.views.summary import summary_lines
from tinspect.views.table import Role, Table
from tinspect.views.width import display_width

WIDTHS = range(80, 201, 5)
ALL = ViewOptions(libc_references=True, frames=True, command_line=True)


def every_table(report: ProcessReport, options: ViewOptions = ALL) -> tuple[Table, ...]:
    registers = tuple(registers_table(report, entry) for entry in report.threads)
    return (*report_tables(report, ALL_SECTIONS, options), *registers)


def check_table(table: Table, width: int, unicode: bool = True) -> None:
    fitted = fit_columns(table, width)
    lines = list(table_lines(table, width, unicode))
    text = plain_text(lines)
    assert text.replace("\n", "").isprintable()
    assert unicode or text.isascii()
    for row in table.rows:
        for position in fitted.positions:
            cell = row.cells[position]
            if cell.role is Role.ADDRESS and re.fullmatch("0x[0-9a-f]+", cell.text):
                assert cell.text in text
    for line in lines[1:]:
        assert sum(display_width(span.text) for span in line) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_sample_at_every_width(width: int) -> None:
    for table in every_table(sample_report()):
        check_table(table, width)
        check_table(table, width, unicode=False)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_inert(name: str) -> None:
    report = renamed(sample_report(), name)
    for table in every_table(report):
        check_table(table, 100)
    assert plain_text(summary_lines(report)).replace("\n", "").isprintable()


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(any_report, st.integers(80, 200), st.sampled_from([0, 1, 32]))
def test_any_report(report: ProcessReport, width: int, group_over: int) -> None:
    for table in every_table(report, replace(ALL, group_over=group_over)):
        for row in table.rows:
            assert len(row.cells) == len(table.columns)
        check_table(table, width)
        for column in table.columns:
            assert len(table.sorted_by(column.key).rows) == len(table.rows)


@pytest.mark.parametrize("section", list(Section))
def test_an_empty_report_says_so(section: Section) -> None:
    report = replace(sample_report(), threads=(), tls_keys=(), references=(), scopes=(), locks=(), findings=())
    for table in section_tables(report, section):
        assert table.rows or table.empty


def test_every_section_of_the_sample_has_rows() -> None:
    for section in Section:
        tables = section_tables(sample_report(), section)
        assert all(table.rows for table in tables), section


def test_row_keys_are_unique() -> None:
    for report in (sample_report(), crowd(100)):
        for table in every_table(report):
            keys = [row.key for row in table.rows]
            assert len(keys) == len(set(keys)), table.title
