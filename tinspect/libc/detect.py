"""Which libc a target has."""

from __future__ import annotations

from tinspect.libc.glibc.house import detect_glibc
from tinspect.libc.image import DebugImages, no_debug_images
from tinspect.libc.musl.house import detect_musl
from tinspect.libc.protocol import Libc
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.target import Target


def detect_libc(target: Target, symbols: Symbolizer, debug_images: DebugImages = no_debug_images) -> Libc | None:
    """The libc of ``target``, its layout proved there; None when it has none that tinspect knows (a Go program, for one).

    ``debug_images`` gives the file that holds a module's debug information. Reads memory before the stop, so on a running process it
    costs no pause. Raises LayoutUnknown when the target has glibc or musl, but its structures could not be learnt.
    """
    return detect_glibc(target, symbols, debug_images) or detect_musl(target, symbols)
