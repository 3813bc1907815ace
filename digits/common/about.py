"""Which images: the section `data` of params.yaml, and what every file made of them says about itself."""

import json
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import Field, NonNegativeInt, ValidationError

from digits.common import parameters_file, wording
from digits.common.choices import names, one_of
from digits.common.errors import DigitsError
from digits.common.parameters_file import Path_
from digits.common.section import Section, TopSection, check

S = TypeVar("S", bound=TopSection)
NO_IMAGES = "images/none"
"""A file, for DVC asks that what a stage depends on is there."""
UNNAMED = "unnamed"
DIGITS = [str(digit) for digit in range(10)]
METADATA = "digits"
"""The key in a safetensors file; there is only one, for safetensors does not keep the order of several."""


class MixedUpError(DigitsError):
    """The images are not those that were asked for, or files do not belong together."""


class Data(TopSection):
    """Which images to learn from."""

    key = "data"

    set: Annotated[str, one_of(names("digits.sets"))]
    images: Annotated[str, Field(min_length=1, description="your own, for the set `folder`")]


def read_for_set(section: type[S], name: str, path: Path_) -> S:
    """A section with the chosen set's own value of this name in the place of its own, if the set has one.

    Raises:
        ParameterError: the file or the section is missing or broken, or a value is not allowed.
    """
    tree = parameters_file.load(path, {})
    found, data = check(section, tree, section.key, path), check(Data, tree, Data.key, path)
    own = parameters_file.get(tree, f"sets.{data.set}.{name}")
    if own is None:
        return found
    values = {**found.model_dump(), name: own}
    return check(section, {"sets": {data.set: values}}, f"sets.{data.set}", path)


class About(Section):
    """What images are: their set, their classes, and the files they came in."""

    set: str
    title: str
    thing: str
    """What an image shows, with its article: `a digit`."""
    classes: Annotated[list[str], Field(min_length=2)]
    """Names, in the order of the labels 0, 1, …"""
    prepared: bool
    """Whether they are scaled and centred as MNIST's are, which a drawing then must be, too."""
    license: str
    mean: float | None = None
    std: float | None = None
    """Of the training images as they were published, grey values scaled to [0, 1], if that is known."""
    images: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """How many, by the beginning of their files' names: `train`, `t10k`."""
    sha256: dict[str, str] = Field(default_factory=dict)
    """Of the four files in data/raw/, by name."""

    @classmethod
    def unnamed(cls) -> Self:
        """Of images in a file that says nothing: ten digits, as the format of such files has been."""
        return cls(
            set=UNNAMED,
            title="images that name no set",
            thing="a digit",
            classes=DIGITS,
            prepared=True,
            license="not stated",
        )

    @classmethod
    def parse(cls, text: str | bytes, path: Path) -> Self:
        """What `text` says, as `text` has it. Raises MixedUpError, which names `path`."""
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            raise MixedUpError(f"{path}: {next(wording.lines(error, cls))}") from None
        except (ValueError, RecursionError) as error:
            raise MixedUpError(f"{path} is no JSON: {' '.join(str(error).split())}") from None

    @classmethod
    def of_tensors(cls, metadata: dict[str, str] | None, path: Path) -> Self:
        """What the metadata of a safetensors file says; images that say nothing are `unnamed`."""
        text = (metadata or {}).get(METADATA)
        return cls.unnamed() if text is None else cls.parse(text, path)

    @property
    def text(self) -> str:
        """One line, the same for the same content."""
        return json.dumps(self.model_dump(), sort_keys=True, ensure_ascii=False)

    def require(self, wanted: str, path: Path) -> None:
        """Raises MixedUpError where `path`, which says this, holds another set than `data.set` asks for."""
        if self.set not in (wanted, UNNAMED):
            raise MixedUpError(
                f"data.set is {wanted!r}, but {path} holds {self.set} ({self.title}); `dvc repro` runs the "
                "stages that fetch and normalize what is asked for"
            )

    def require_same(self, other: "About", path: Path | str, other_path: Path | str) -> None:
        """Raises MixedUpError where two files are of different sets, or of different versions of one.

        Unnamed images go with all that have the same classes.
        """
        named = UNNAMED not in (self.set, other.set)
        if self.classes != other.classes or (named and (self.set, self.sha256) != (other.set, other.sha256)):
            raise MixedUpError(
                f"{path} is of {self.words}, but {other_path} of {other.words}; `dvc repro` makes both of one"
            )

    @property
    def words(self) -> str:
        """The set in a few words for a message."""
        test = next((f" {digest[:8]}" for name, digest in self.sha256.items() if "images" in name), "")
        return f"{self.set}{test} with {len(self.classes)} classes"
