"""Lines of text as one SVG picture that needs nothing else: a screen to put into a document, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Sequence

from tinspect.views.span import Line
from tinspect.views.svg import inert
from tinspect.views.width import display_width

_CELL = 8.4
_LINE = 18
_EDGE = 14

_STYLE = """
svg { color-scheme: light dark; --ground: #ffffff; --text: #1d2127; --faint: #5f6773; --good: #1a7f37; --note: #0969a8;
  --warning: #8a5a00; --error: #c01c28; --used: #0b76b8; --peak: #8cc8ea; --changed: #8250df; }
@media (prefers-color-scheme: dark) { svg { --ground: #14171c; --text: #e3e6ea; --faint: #98a1ad; --good: #57c26e; --note: #62b4ec;
  --warning: #e0a93b; --error: #ff7b78; --used: #3fa9e8; --peak: #24587a; --changed: #b392f0; } }
rect { fill: var(--ground); } text { font: 14px ui-monospace, Menlo, Consolas, monospace; fill: var(--text); white-space: pre; }
.title, .name { font-weight: 700; } .dim, .free, .header { fill: var(--faint); } .guess { fill: var(--faint); font-style: italic; }
.good { fill: var(--good); } .note { fill: var(--note); } .warning { fill: var(--warning); }
.error { fill: var(--error); font-weight: 700; } .used { fill: var(--used); } .peak { fill: var(--peak); }
.changed { fill: var(--changed); font-weight: 700; }
"""


def text_drawing(lines: Sequence[Line], width: int, title: str) -> str:
    """The lines in a picture ``width`` character cells wide. Each span is held to its cells, whatever font the reader has."""
    across, down = width * _CELL + 2 * _EDGE, len(lines) * _LINE + 2 * _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {across:.0f} {down:.0f}">',
        f'<title>{inert(title)}</title><style>{_STYLE}</style><rect width="100%" height="100%"/>',
        *(_text(line, _EDGE + (number + 1) * _LINE - 4) for number, line in enumerate(lines)),
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _text(line: Line, y: float) -> str:
    spans, column = [], 0
    for span in line:
        cells = display_width(span.text)
        if span.text.strip():
            place = f'x="{_EDGE + column * _CELL:.1f}" textLength="{cells * _CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
            spans.append(f'<tspan class="{span.role.value}" {place}>{inert(span.text)}</tspan>')
        column += cells
    return f'<text y="{y:.0f}" xml:space="preserve">{"".join(spans)}</text>' if spans else ""
