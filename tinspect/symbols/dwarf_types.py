"""From the entry of a type to a DataType, at most a few levels deep: pointers are not followed, cycles end."""

from __future__ import annotations

from tinspect.formats.dwarf_expression import ExpressionContext, evaluate
from tinspect.symbols.data_types import DataType, Member, TypeKind
from tinspect.symbols.dwarf_file import Budget, Die, DwarfFile, guarded

_DEPTH = 4
_NAME_DEPTH = 12
_MEMBER_LIMIT = 64
_MODIFIERS = {
    "DW_TAG_const_type": "const ",
    "DW_TAG_volatile_type": "volatile ",
    "DW_TAG_restrict_type": "",
    "DW_TAG_atomic_type": "_Atomic ",
}
_POINTERS = {"DW_TAG_pointer_type": " *", "DW_TAG_reference_type": " &", "DW_TAG_rvalue_reference_type": " &&"}
_STRUCTURES = {"DW_TAG_structure_type": "struct ", "DW_TAG_class_type": "class ", "DW_TAG_union_type": "union "}
_C_LANGUAGES = frozenset((0x01, 0x02, 0x0C, 0x1D))  # DW_LANG_C89, C, C99, C11: there a tag is no type name by itself
UNKNOWN = DataType("?", 0)


def variable_type(dwarf: DwarfFile, variable: Die) -> DataType:
    """The type of a variable's entry (or of the one it completes); ``UNKNOWN`` when it has none."""
    for _ in range(4):
        if "DW_AT_type" in variable.attributes:
            die = dwarf.referenced(variable, "DW_AT_type")
            return _parse(dwarf, die, _DEPTH) if die is not None else UNKNOWN
        origin = dwarf.referenced(variable, "DW_AT_abstract_origin") or dwarf.referenced(
            variable, "DW_AT_specification"
        )
        if origin is None:
            break
        variable = origin
    return UNKNOWN


def _text(dwarf: DwarfFile, die: Die) -> str:
    return (dwarf.name(die) or b"").decode("utf-8", "backslashreplace")


def type_name(dwarf: DwarfFile, die: Die | None, depth: int = _NAME_DEPTH) -> str:
    """The name of a type as C would write it; ``void`` for no type."""
    if die is None:
        return "void"
    if depth == 0:
        return "…"
    tag = die.tag
    if tag in _MODIFIERS:
        return _MODIFIERS[tag] + type_name(dwarf, dwarf.referenced(die, "DW_AT_type"), depth - 1)
    own = _text(dwarf, die)
    if tag in _POINTERS and not own:
        return _pointer_name(dwarf, dwarf.referenced(die, "DW_AT_type"), _POINTERS[tag], depth)
    if tag == "DW_TAG_array_type" and not own:
        element = type_name(dwarf, dwarf.referenced(die, "DW_AT_type"), depth - 1)
        return element + "".join(f"[{count}]" if count else "[]" for count in _counts(dwarf, die))
    if tag == "DW_TAG_subroutine_type" and not own:
        return _function_name(dwarf, die, "", depth)
    if tag in _STRUCTURES or tag == "DW_TAG_enumeration_type":
        prefix = _STRUCTURES.get(tag, "enum ")
        is_c = _language(die) in _C_LANGUAGES
        return (prefix if is_c else "") + own if own else prefix + "{…}"
    return own or "?"


def _pointer_name(dwarf: DwarfFile, target: Die | None, mark: str, depth: int) -> str:
    if target is not None and target.tag == "DW_TAG_subroutine_type":
        return _function_name(dwarf, target, f"({mark.strip()})", depth)
    name = type_name(dwarf, target, depth - 1)
    return name + (mark if not name.endswith(("*", "&")) else mark.strip())


def _function_name(dwarf: DwarfFile, die: Die, middle: str, depth: int) -> str:
    budget = Budget(entries=1000)
    parameters = [
        type_name(dwarf, dwarf.referenced(child, "DW_AT_type"), depth - 1)
        for child in dwarf.children(die, budget)
        if child.tag == "DW_TAG_formal_parameter"
    ]
    result = type_name(dwarf, dwarf.referenced(die, "DW_AT_type"), depth - 1)
    return f"{result} {middle}({', '.join(parameters[:16])})"


def _language(die: Die) -> int | None:
    attribute = die.cu.get_top_DIE().attributes.get("DW_AT_language")
    return attribute.value if attribute is not None else None


def _number(die: Die, attribute: str, default: int = 0) -> int:
    found = die.attributes.get(attribute)
    return found.value if found is not None and isinstance(found.value, int) else default


def _counts(dwarf: DwarfFile, die: Die) -> list[int]:
    """The dimensions of an array; 0 for one that is not constant."""
    counts = []
    for child in dwarf.children(die, Budget(entries=1000)):
        if child.tag == "DW_TAG_subrange_type":
            upper = _number(child, "DW_AT_upper_bound", -1)
            counts.append(max(_number(child, "DW_AT_count", upper + 1), 0))
    return counts


@guarded
def _parse(dwarf: DwarfFile, die: Die, depth: int) -> DataType:
    name = type_name(dwarf, die)
    for _ in range(_NAME_DEPTH):
        if die.tag != "DW_TAG_typedef" and die.tag not in _MODIFIERS:
            break
        target = dwarf.referenced(die, "DW_AT_type")
        if target is None:
            return DataType(name, 0)
        die = target
    size = _number(die, "DW_AT_byte_size")
    tag = die.tag
    if tag == "DW_TAG_base_type":
        return DataType(name, size, TypeKind.BASE, _number(die, "DW_AT_encoding"))
    if tag in _POINTERS or tag == "DW_TAG_ptr_to_member_type":
        return DataType(name, size or 8, TypeKind.POINTER)
    if tag == "DW_TAG_enumeration_type":
        return DataType(name, size, TypeKind.ENUM, enumerators=_enumerators(dwarf, die))
    if tag == "DW_TAG_array_type":
        return _array(dwarf, die, name, depth)
    if tag in _STRUCTURES:
        members = _members(dwarf, die, depth) if depth > 0 else ()
        return DataType(
            name, size, TypeKind.STRUCT if tag != "DW_TAG_union_type" else TypeKind.UNKNOWN, members=members
        )
    return DataType(name, size)


def _enumerators(dwarf: DwarfFile, die: Die) -> tuple[tuple[int, str], ...]:
    found = (child for child in dwarf.children(die, Budget(entries=10_000)) if child.tag == "DW_TAG_enumerator")
    return tuple((_number(child, "DW_AT_const_value"), _text(dwarf, child)) for child in found)


def _array(dwarf: DwarfFile, die: Die, name: str, depth: int) -> DataType:
    target = dwarf.referenced(die, "DW_AT_type")
    if target is None or depth <= 0:
        return DataType(name, _number(die, "DW_AT_byte_size"))
    element = _parse(dwarf, target, depth - 1)
    result = element
    for count in reversed(_counts(dwarf, die)):
        result = DataType(name, element.size * count, TypeKind.ARRAY, element=element, count=count)
        element = result
    return result


def _members(dwarf: DwarfFile, die: Die, depth: int) -> tuple[Member, ...]:
    result: list[Member] = []
    for child in dwarf.children(die, Budget(entries=10_000)):
        if child.tag in ("DW_TAG_member", "DW_TAG_inheritance") and len(result) < _MEMBER_LIMIT:
            place = _place(child)
            target = dwarf.referenced(child, "DW_AT_type")
            if place is not None and target is not None:
                offset, bits = place
                result.append(Member(_text(dwarf, child) or "<base>", offset, _parse(dwarf, target, depth - 1), bits))
    return tuple(result)


def _place(member: Die) -> tuple[int, tuple[int, int] | None] | None:
    """Offset in bytes, and (offset in bits from there, count) of a bit field; None for what has no constant place (a static member)."""
    count = _number(member, "DW_AT_bit_size")
    if "DW_AT_data_bit_offset" in member.attributes:  # DWARF 4 and later
        first = _number(member, "DW_AT_data_bit_offset")
        return first // 8, (first % 8, count)
    location = member.attributes.get("DW_AT_data_member_location")
    if location is None:
        return None
    offset = location.value
    if isinstance(offset, list):  # DWARF 2: an expression over the structure's address
        found = evaluate(bytes(offset), ExpressionContext(), (0,))
        if found is None:
            return None
        offset = found.value
    if "DW_AT_bit_offset" not in member.attributes:
        return offset, None
    # DWARF 2, 5.5.4: counted from the most significant bit of a storage unit.
    first = _number(member, "DW_AT_byte_size", 4) * 8 - _number(member, "DW_AT_bit_offset") - count
    return (offset + first // 8, (first % 8, count)) if first >= 0 else None
