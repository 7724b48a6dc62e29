"""What each section's command shows, and which take threads as arguments."""

from __future__ import annotations

from tinspect.model.options import Section

SECTION_HELP = {
    Section.THREADS: "every thread: name, where it stands, what it waits for, how it was started",
    Section.STACKS: "every thread's true stack bounds, how much is used, and how much ever was",
    Section.GUARDS: "what guards each stack, of what kind, and how far away it is",
    Section.ALTSTACKS: "every thread's alternate signal stack",
    Section.TLS: "the pthread keys with their destructors, and every thread's values",
    Section.REFS: "who points into whose stack, dangling references included",
    Section.LOCKS: "what threads wait for, and the locks of the scoped-thread runtime",
    Section.SCOPES: "the tree of thread scopes, with what was lent to whom",
    Section.FINDINGS: "what is wrong, or about to go wrong",
}
FOR_THREADS = frozenset({Section.THREADS, Section.STACKS, Section.GUARDS, Section.ALTSTACKS, Section.TLS})
