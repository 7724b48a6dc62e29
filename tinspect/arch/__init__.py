"""What differs between processor architectures, as data. To port tinspect, write one more table: docs/internals/adding-an-architecture."""

from tinspect.arch.architecture import Architecture, RegisterLayout
from tinspect.arch.tables import ARCHITECTURES, resolve_architecture

__all__ = ["ARCHITECTURES", "Architecture", "RegisterLayout", "resolve_architecture"]
