"""How each role looks: the sixteen colours that every terminal theme sets to be readable, light or dark."""

from __future__ import annotations

from tinspect.views.table import Role

STYLES = {
    Role.PLAIN: "",
    Role.TITLE: "bold",
    Role.HEADER: "dim",
    Role.ADDRESS: "",
    Role.SIZE: "",
    Role.NAME: "bold",
    Role.CODE: "",
    Role.DIM: "dim",
    Role.GUESS: "dim italic",
    Role.GOOD: "green",
    Role.NOTE: "cyan",
    Role.WARNING: "yellow",
    Role.ERROR: "bold red",
    Role.USED: "cyan",
    Role.PEAK: "dim cyan",
    Role.FREE: "dim",
    Role.CHANGED: "reverse",
}
