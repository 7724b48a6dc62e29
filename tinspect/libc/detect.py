"""Which libc a target has."""

from __future__ import annotations

from tinspect.libc.glibc.house import detect_glibc
from tinspect.libc.layout_cache import LayoutCache
from tinspect.libc.protocol import Libc
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.target import Target


def detect_libc(target: Target, symbols: Symbolizer, cache: LayoutCache | None = None) -> Libc | None:
    """The libc of ``target``, its layout proved there; None when it has none that tinspect knows (a Go program, for one).

    Reads memory before the stop, so on a running process it costs no pause. ``cache`` remembers what was learnt slowly.

    Raises LayoutUnknown when the target has glibc or musl, but its structures could not be learnt.
    """
    glibc = detect_glibc(target, symbols, cache)
    if glibc is not None:
        return glibc
    from tinspect.libc.musl.house import detect_musl

    return detect_musl(target, symbols)
