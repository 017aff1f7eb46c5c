"""Functions that the model may call: from a Python signature to the wire's JSON schema, and back to a call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

import msgspec

from realtime_nb.errors import ConfigurationError

MAX_DESCRIPTION_CHARACTERS = 1024
"""Longer ones were refused by the service in 2025."""
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_APPROVAL_TIMEOUT_S = 300.0

Approval = Literal["never", "always"] | Callable[["ToolRequest"], bool | Awaitable[bool]]


class ToolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A call that the model asked for, as an approval hook sees it."""

    call_id: str
    name: str
    arguments: dict[str, Any]


class ToolArgumentsRefused(Exception):
    """The model's arguments do not fit the function's signature; the text says where."""


class Tool:
    """One function offered to the model.

    Attributes:
        name: as the model calls it.
        definition: the wire's form, with the JSON schema of the parameters.
        timeout_s: how long it may run; the model is told when it took longer.
        approval: "never" asks nobody, "always" waits for `session.approve` (or the Studio), a function decides.
        approval_timeout_s: how long it waits to be approved; the model is told when nobody did.
        filler: said aloud when the call takes longer than `filler_after_s`, "" for nothing.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        approval: Approval = "never",
        approval_timeout_s: float = DEFAULT_APPROVAL_TIMEOUT_S,
        filler: str = "",
        filler_after_s: float = 1.5,
    ) -> None:
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", ""))
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.name):
            raise ConfigurationError(
                f"A tool cannot be called {self.name!r}.",
                what_now="Use up to 64 letters, digits, _ or -; name= gives another name.",
            )
        self.timeout_s = timeout_s
        self.approval = approval
        self.approval_timeout_s = approval_timeout_s
        self.filler = filler
        self.filler_after_s = filler_after_s
        self._model = _arguments_model(self.name, function)
        self.definition = self._definition(description)

    def _definition(self, description: str | None) -> dict[str, Any]:
        schema = self._model.model_json_schema()
        schema.pop("title", None)
        schema.setdefault("properties", {})
        for parameter in schema["properties"].values():
            parameter.pop("title", None)
        words = description or _summary(self.function)
        return {
            "type": "function",
            "name": self.name,
            "description": words[:MAX_DESCRIPTION_CHARACTERS],
            "parameters": schema,
        }

    def bind(self, arguments: str) -> dict[str, Any]:
        """Return the keyword arguments of a call, converted to the annotated types.

        Raises:
            ToolArgumentsRefused: not JSON, or not what the signature wants.
        """
        from pydantic import ValidationError

        try:
            bound = self._model.model_validate_json(arguments or "{}")
        except ValidationError as refused:
            details = "; ".join(
                f"{'.'.join(map(str, error['loc'])) or 'arguments'}: {error['msg']}" for error in refused.errors()
            )
            raise ToolArgumentsRefused(details) from refused
        return {name: getattr(bound, name) for name in type(bound).model_fields if name in bound.model_fields_set}

    def __repr__(self) -> str:
        return f"<Tool {self.name}: {self.definition['description'].partition('. ')[0]}>"


class Toolbox:
    """The tools of one session, by name."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def add(self, tool: Tool | Callable[..., Any], **options: Any) -> Tool:
        """Add a tool or a plain function; the same name again replaces it (a re-run cell)."""
        made = tool if isinstance(tool, Tool) else Tool(tool, **options)
        self._tools[made.name] = made
        return made

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The wire's form of all tools."""
        return [tool.definition for tool in self]


def _arguments_model(name: str, function: Callable[..., Any]) -> Any:
    from pydantic import ConfigDict, create_model
    from pydantic.errors import PydanticSchemaGenerationError

    described = _parameter_descriptions(function)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigurationError(
                f"The tool {name!r} takes {parameter}, which no JSON schema can say.",
                what_now="Give it plain named parameters with type annotations.",
            )
        annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (annotation, _field(default, described.get(parameter.name)))
    try:
        return create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
    except (PydanticSchemaGenerationError, NameError, TypeError) as problem:
        raise ConfigurationError(
            f"The signature of the tool {name!r} cannot be a JSON schema: {problem}",
            what_now="Annotate the parameters with JSON's types, dataclasses or pydantic models.",
        ) from problem


def _field(default: Any, description: str | None) -> Any:
    from pydantic import Field

    return Field(default, description=description) if description else default


def _summary(function: Callable[..., Any]) -> str:
    import docstring_parser

    parsed = docstring_parser.parse(inspect.getdoc(function) or "")
    return " ".join(filter(None, [parsed.short_description, parsed.long_description]))


def _parameter_descriptions(function: Callable[..., Any]) -> dict[str, str]:
    import docstring_parser

    parsed = docstring_parser.parse(inspect.getdoc(function) or "")
    return {parameter.arg_name: parameter.description for parameter in parsed.params if parameter.description}
