"""Scoped threads for Python: threads that have ended when their `with` block has.

    from tinspect.native.scope import scope

    with scope("resize") as s:
        halves = [s.spawn(resize, part) for part in (left, right)]
        print(halves[0].join())

Leaving the block joins every thread, with the GIL released; exceptions that nobody joined for arrive as one
ExceptionGroup. Buffers cross threads as loans only (`s.loan`). Importing installs no signal handler;
`report_overflows()` does. The module itself may be called like `scope`.
"""

from __future__ import annotations

import sys
from types import ModuleType

from tinspect.native._scope import (
    BorrowError,
    ScopeError,
    available_parallelism,
    current_id,
    park,
    report_overflows,
)
from tinspect.native.scope.handles import Handle
from tinspect.native.scope.loans import Loan
from tinspect.native.scope.scopes import Scope, ThreadBuilder, scope
from tinspect.native.scope.traits import Traits, declare, traits_of

__all__ = [
    "BorrowError",
    "Handle",
    "Loan",
    "Scope",
    "ScopeError",
    "ThreadBuilder",
    "Traits",
    "available_parallelism",
    "current_id",
    "declare",
    "park",
    "report_overflows",
    "scope",
    "traits_of",
]


class _CallableModule(ModuleType):
    """Lets `native.scope("name")` open a scope although `native.scope` is this module."""

    def __call__(self, name: str = "", *, fail_fast: bool = False) -> Scope:
        return scope(name, fail_fast=fail_fast)


sys.modules[__name__].__class__ = _CallableModule
