"""ELF images of modules and their separate debug files: each is opened once, and kept by build id."""

from __future__ import annotations

from tinspect.errors import FormatError
from tinspect.formats.debuglink import parse_debug_data, parse_debug_link
from tinspect.formats.elf import ElfImage
from tinspect.model.module import Module
from tinspect.target.target import ModuleFiles

ImageKey = tuple[str, ...]


def image_key(module: Module) -> ImageKey:
    """What makes two modules the same file: the build id, or else the path (and the place, for what has neither)."""
    if module.build_id:
        return (module.build_id,)
    return (module.path or module.name, hex(module.load_bias), hex(module.range.size))


class ImageStore:
    """Opens images through ``files``; may be shared by captures of the same process. Nothing here raises: what is missing is None."""

    def __init__(self, files: ModuleFiles) -> None:
        self._files = files
        self._images: dict[ImageKey, ElfImage | None] = {}
        self._debug: dict[ImageKey, ElfImage | None] = {}
        self._mini: dict[ImageKey, ElfImage | None] = {}

    def find_image(self, module: Module) -> ElfImage | None:
        """The image that is mapped as ``module``; None when it cannot be had, or when its build id is another one's."""
        key = image_key(module)
        if key not in self._images:
            image = _parse(self._files.open_image(module))
            matches = image is not None and (not module.build_id or image.build_id in ("", module.build_id))
            self._images[key] = image if matches else None
        return self._images[key]

    def find_debug_image(self, module: Module) -> ElfImage | None:
        """The separate debug file of ``module``, by build id or by .gnu_debuglink; or None."""
        key = image_key(module)
        if key not in self._debug:
            self._debug[key] = self._open_debug(module)
        return self._debug[key]

    def find_mini_image(self, module: Module) -> ElfImage | None:
        """The symbols-only image that .gnu_debugdata of ``module`` holds, or None."""
        key = image_key(module)
        if key not in self._mini:
            image = self.find_image(module)
            self._mini[key] = _parse(parse_debug_data(image)) if image is not None else None
        return self._mini[key]

    def _open_debug(self, module: Module) -> ElfImage | None:
        image = self.find_image(module)
        build_id = module.build_id or (image.build_id if image is not None else "")
        debug = _parse(self._files.open_debug(build_id)) if build_id else None
        if debug is not None and debug.build_id == build_id:
            return debug
        link = parse_debug_link(image) if image is not None else None
        if link is None:
            return None
        data = self._files.open_debug_link(module, link.name)
        if data is None or not link.matches(data):
            return None
        return _parse(data)


def _parse(data: bytes | memoryview | None) -> ElfImage | None:
    if data is None:
        return None
    try:
        return ElfImage(data)
    except FormatError:
        return None
