"""The look of the web page: light and dark by what the reader's system prefers."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --panel: #f5f6f8; --text: #1d2127; --faint: #5f6773; --line: #d9dde3;
  --good: #1a7f37; --note: #0969a8; --warning: #8a5a00; --error: #c01c28; --used: #0b76b8; --peak: #8cc8ea; --free: #e6e9ee;
  --guard: #d1242f; --altstack: #8250df; --cached: #9aa3ae; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171c; --panel: #1c2027; --text: #e3e6ea; --faint: #98a1ad; --line: #333a45;
  --good: #57c26e; --note: #62b4ec; --warning: #e0a93b; --error: #ff7b78; --used: #3fa9e8; --peak: #24587a; --free: #2a303a;
  --guard: #f0525b; --altstack: #b392f0; --cached: #6b7480; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 84rem; background: var(--ground); color: var(--text);
  font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p { margin: .2rem 0; }
nav { margin: .8rem 0; display: flex; flex-wrap: wrap; gap: .3rem .9rem; }
a { color: var(--note); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--panel); }
.scroll > svg { margin: 10px; display: block; }
table { border-collapse: collapse; width: 100%; font: 12.5px/1.4 ui-monospace, monospace; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; text-align: left; white-space: pre; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
th { color: var(--faint); font-weight: 600; position: sticky; top: 0; background: var(--panel); }
td.wrap { white-space: normal; min-width: 20rem; overflow-wrap: anywhere; }
.right { text-align: right; }
.title, .name { font-weight: 600; }
.dim, .notes, .header { color: var(--faint); }
.guess { color: var(--faint); font-style: italic; }
.good { color: var(--good); } .note { color: var(--note); } .warning { color: var(--warning); }
.error { color: var(--error); font-weight: 600; }
.notes { margin: .3rem 0 0; }
.bar { display: block; } svg { font: 12px ui-monospace, monospace; fill: var(--text); }
svg .dim { fill: var(--faint); } svg .count { fill: var(--ground); font-weight: 700; }
rect.used { fill: var(--used); } rect.peak { fill: var(--peak); } rect.free { fill: var(--free); }
rect.guard { fill: var(--guard); } rect.stack { fill: var(--used); } rect.altstack { fill: var(--altstack); }
rect.cached_stack { fill: var(--cached); } rect.other { fill: var(--faint); }
rect.outline { fill: none; stroke: var(--line); }
rect.fill-good { fill: var(--good); } rect.fill-note { fill: var(--note); } rect.fill-error { fill: var(--error); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .3rem 0; color: var(--faint); }
.legend i { display: inline-block; width: .9em; height: .9em; border-radius: 2px; margin-right: .4em; vertical-align: -1px; }
"""

COLOURS = {
    "used": "var(--used)",
    "peak": "var(--peak)",
    "free": "var(--free)",
    "guard": "var(--guard)",
    "altstack": "var(--altstack)",
    "cached": "var(--cached)",
}
"""Names of fills, for legends."""
