"""Which signals does the process handle, and by what?"""

from __future__ import annotations

from dataclasses import replace

from tinspect.analyses.context import Context
from tinspect.model.signals import SignalHandler


def analyze(context: Context) -> tuple[SignalHandler, ...] | None:
    """The handlers by signal with their symbols; None where the backend could not learn them."""
    handlers = context.snapshot.signal_handlers
    return None if handlers is None else tuple(_named(context, handler) for handler in handlers)


def _named(context: Context, handler: SignalHandler) -> SignalHandler:
    hit = context.symbols.find_symbol(handler.handler)
    if hit is None:
        return handler
    return replace(handler, symbol=f"{hit.name}+{hit.offset}" if hit.offset else hit.name)
