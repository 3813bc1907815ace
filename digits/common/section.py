"""A section of params.yaml, with exact types; every room derives those that it owns."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from digits.common import parameters_file, wording
from digits.common.parameters_file import ParameterError, Path_


class Section(BaseModel):
    """A part of params.yaml: exact types, no unknown key, no NaN or infinity, never changed once read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


class TopSection(Section):
    """A section that stands at the top of params.yaml, under `key`."""

    key: ClassVar[str]

    @classmethod
    def read(cls, path: Path_ = "params.yaml") -> Self:
        """This section alone; nothing else in the file is looked at.

        Raises:
            ParameterError: the file or the section is missing or broken, or a value is not allowed.
        """
        return check(cls, parameters_file.load(path, {}), cls.key, path)


def check(schema: type[S], tree: Mapping[str, Any], key: str, path: Path_) -> S:
    """What stands under a dotted key of params.yaml, as this schema has it.

    Raises:
        ParameterError: there is no such key, or a value is not allowed; `path` is for the message.
    """
    values = parameters_file.get(tree, key)
    if values is None:
        raise ParameterError(f"{path}: {key} is missing")
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        lines = (f"{path}: {line}" for line in wording.lines(error, schema, key))
        raise ParameterError("\n".join(lines)) from None
