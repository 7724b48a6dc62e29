"""What went wrong, in the words that the user gets."""

from __future__ import annotations

from tinspect.errors import TinspectError


def problem_words(problem: TinspectError | OSError) -> str:
    """One sentence: what a TinspectError says and its next step, or the file and the reason of an OSError."""
    if isinstance(problem, TinspectError):
        return str(problem)
    name = f"{problem.filename}: " if problem.filename else ""
    return f"{name}{problem.strerror or problem}."
