"""What a snapshot that was written holds."""

from __future__ import annotations

from tinspect.model.options import SnapshotSummary
from tinspect.views.table import NOTHING, Cell, Column, Role, Row, Table
from tinspect.views.words import duration_words, size_words

_COLUMNS = (Column("fact", "FACT"), Column("value", "VALUE", min_width=30, wrap=True))


def snapshot_table(summary: SnapshotSummary) -> Table:
    """File, sizes, threads, pause, and what is missing."""
    facts = [
        ("file", Cell(summary.path, Role.NAME)),
        ("size", Cell(f"{size_words(summary.file_size)}, for {size_words(summary.captured)} of memory")),
        ("threads", Cell(f"{summary.threads:,}")),
        ("stood still", NOTHING if summary.pause_us is None else Cell(duration_words(summary.pause_us))),
    ]
    facts += [("missing", Cell(words, Role.WARNING)) for words in summary.missing]
    rows = tuple(Row(f"fact:{index}", (Cell(name, Role.DIM), cell)) for index, (name, cell) in enumerate(facts))
    return Table("snapshot", "Snapshot", _COLUMNS, rows)
