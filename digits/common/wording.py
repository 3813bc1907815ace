"""What pydantic finds wrong in a YAML file, in words for its author."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from digits.common.choices import SideBySide


def lines(error: ValidationError, schema: type[BaseModel], section: str = "") -> Iterator[str]:
    """One line for each mistake: the key, the value, and what is allowed.

    `schema` is what was validated, and `section` where it stands in the file, if not at its top.
    """
    for mistake in error.errors():
        key = ".".join(filter(None, (section, *map(str, mistake["loc"]))))
        value, context = mistake["input"], mistake.get("ctx", {})
        match mistake["type"]:
            case "missing":
                yield f"{key} is missing"
            case "extra_forbidden":
                known = ", ".join(_known_keys(schema, mistake["loc"][:-1]))
                yield f"{key} is {value!r}, but there is no such key; allowed here: {known}"
            case "value_error" if not mistake["loc"]:
                yield ": ".join(filter(None, (section, str(context["error"]))))
            case "value_error":
                yield f"{key} is {_plain(value)}; {context['error']}"
            case _:
                allowed = mistake["msg"].removeprefix("Input should be ").removeprefix("a valid ")
                allowed = allowed.replace("dictionary or instance of", "the keys of")
                yield f"{key} is {_plain(value)}; allowed: {allowed}"


def _plain(value: object) -> str:
    return repr(dict(value) if isinstance(value, Mapping) else value)


def _known_keys(schema: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    fields: Mapping[str, Any] = schema.model_fields
    for name in location:
        field = fields[str(name)]
        choices = [m.choices for m in getattr(field, "metadata", ()) if isinstance(m, SideBySide)]
        section: Any = field if isinstance(field, type) else field.annotation
        fields = choices[0] if choices else section.model_fields
    return sorted(fields)
