"""TypeScript for the media link, generated from `messages.py` so that a message is defined once.

`python -m realtime_nb.widgets.messages_ts` rewrites `frontend/src/core/messages.gen.ts` and the rows that widgets carry
in traits, `rows.gen.ts`; with `--check` it only compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import msgspec.inspect as inspect

from realtime_nb.widgets import messages
from realtime_nb.widgets.race_rows import RaceRow

TARGET = Path(__file__).parents[1] / "frontend" / "src" / "core" / "messages.gen.ts"
ROWS_TARGET = TARGET.with_name("rows.gen.ts")

_SCALARS: dict[type, str] = {
    inspect.StrType: "string",
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.NoneType: "null",
    inspect.AnyType: "unknown",
}


def typescript(kind: inspect.Type) -> str:
    """TypeScript of one msgspec type.

    Args:
        kind: what `msgspec.inspect.type_info` says about the field.

    Returns:
        A type expression; structs are referred to by name.

    Raises:
        TypeError: the type has no agreed form on the link.
    """
    scalar = _SCALARS.get(type(kind))
    if scalar is not None:
        return scalar
    if isinstance(kind, inspect.LiteralType):
        return " | ".join(_literal(value) for value in kind.values)
    if isinstance(kind, inspect.UnionType):
        return " | ".join(typescript(member) for member in kind.types)
    if isinstance(kind, inspect.ListType):
        return f"Array<{typescript(kind.item_type)}>"
    if isinstance(kind, inspect.DictType):
        return f"Record<string, {typescript(kind.value_type)}>"
    if isinstance(kind, inspect.StructType):
        return str(kind.cls.__name__)
    raise TypeError(f"{kind!r} has no TypeScript form on the media link; use a struct, list, dict or scalar")


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _nested(kind: inspect.Type) -> list[inspect.StructType]:
    if isinstance(kind, inspect.StructType):
        return [kind]
    if isinstance(kind, inspect.ListType):
        return _nested(kind.item_type)
    if isinstance(kind, inspect.UnionType):
        return [struct for member in kind.types for struct in _nested(member)]
    return []


def _summary(cls: type) -> str:
    text = (cls.__doc__ or "").strip().split("\n\n")[0]
    return f"/** {' '.join(text.split())} */\n" if text else ""


def _interface(struct: inspect.StructType, *, optional_defaults: bool) -> str:
    lines = [f"{_summary(struct.cls)}export interface {struct.cls.__name__} {{"]
    if struct.tag is not None:
        lines.append(f'  type: "{struct.tag}";')
    for field in struct.fields:
        mark = "?" if optional_defaults and not field.required else ""
        lines.append(f"  {field.encode_name}{mark}: {typescript(field.type)};")
    lines.append("}")
    return "\n".join(lines)


def _section(union: Any, name: str, *, optional_defaults: bool) -> list[str]:
    parts: list[str] = []
    seen: set[str] = set()
    members: list[str] = []
    for cls in get_args(union):
        struct = inspect.type_info(cls)
        assert isinstance(struct, inspect.StructType)
        for inner in [nested for field in struct.fields for nested in _nested(field.type)]:
            if inner.cls.__name__ not in seen:
                seen.add(inner.cls.__name__)
                parts.append(_interface(inner, optional_defaults=optional_defaults))
        parts.append(_interface(struct, optional_defaults=optional_defaults))
        members.append(cls.__name__)
    parts.append(f"export type {name} =\n  | " + "\n  | ".join(members) + ";")
    return parts


def generate() -> str:
    """The whole TypeScript module as text."""
    constants = [
        f"export const {name} = {getattr(messages, name)};"
        for name in ("LINK_VERSION", "KIND_MICROPHONE", "KIND_PLAYBACK", "KIND_UPLOAD")
    ]
    constants.append(f"export const BINARY_HEADER_BYTES = {messages.BINARY_HEADER.size};")
    banner = "// Generated from realtime_nb/widgets/messages.py"
    parts = [
        f"{banner} by `python -m realtime_nb.widgets.messages_ts`. Do not edit.",
        "\n".join(constants),
        *_section(messages.ToKernel, "ToKernel", optional_defaults=True),
        *_section(messages.ToBrowser, "ToBrowser", optional_defaults=False),
    ]
    return "\n\n".join(parts) + "\n"


def generate_rows() -> str:
    """The TypeScript of the rows that Timeline and Race carry in traits."""
    found: dict[str, inspect.StructType] = {}

    def add(struct: inspect.StructType) -> None:
        for inner in [nested for field in struct.fields for nested in _nested(field.type)]:
            add(inner)
        found.setdefault(struct.cls.__name__, struct)

    root = inspect.type_info(RaceRow)
    assert isinstance(root, inspect.StructType)
    add(root)
    banner = "// Generated from realtime_nb/widgets/race_rows.py and timeline_rows.py"
    parts = [f"{banner} by `python -m realtime_nb.widgets.messages_ts`. Do not edit."]
    return "\n\n".join([*parts, *(_interface(struct, optional_defaults=False) for struct in found.values())]) + "\n"


def main(arguments: list[str]) -> int:
    """Write the modules, or with `--check` compare them. Returns the process's exit code."""
    stale = 0
    for target, text in ((TARGET, generate()), (ROWS_TARGET, generate_rows())):
        if "--check" not in arguments:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"{target.name} is stale: run python -m realtime_nb.widgets.messages_ts\n")
            stale = 1
    return stale


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
