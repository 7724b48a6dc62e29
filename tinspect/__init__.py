"""tinspect: what is true of every thread's stack, in a process, a core dump or a gdb session."""

from tinspect import _version

__version__ = _version.VERSION

__all__ = ["__version__"]
