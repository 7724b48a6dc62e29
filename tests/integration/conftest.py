"""Fixtures that other tests have as well."""

from __future__ import annotations

from tests.native.conftest import start_program

__all__ = ["start_program"]
