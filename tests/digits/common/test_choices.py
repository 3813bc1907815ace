import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from digits.common.choices import SideBySide, discover, one_of
from digits.common.section import Section

BASE = "from digits.common.section import Section\n\n\nclass Shape(Section):\n    sides: int\n"
SQUARE = "from shapes import Shape\n\n\nclass Square(Shape):\n    width: float\n"


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    package = tmp_path / "shapes"
    package.mkdir()
    (package / "__init__.py").write_text(BASE)
    (package / "square.py").write_text(SQUARE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "shapes"]:
        del sys.modules[name]


def found() -> dict[str, type[Any]]:
    import shapes  # type: ignore[import-not-found]

    return dict(discover("shapes", shapes.Shape))


def test_a_new_file_is_a_new_choice(shapes: Path) -> None:
    (shapes / "circle.py").write_text(SQUARE.replace("Square", "Circle"))
    assert [(name, choice.__name__) for name, choice in found().items()] == [
        ("circle", "Circle"),
        ("square", "Square"),
    ]


@pytest.mark.parametrize(("content", "number"), [("", 0), (SQUARE + "\nclass Second(Shape):\n    pass\n", 2)])
def test_a_file_without_exactly_one_class_is_refused(shapes: Path, content: str, number: int) -> None:
    (shapes / "wrong.py").write_text(content)
    with pytest.raises(TypeError, match=f"shapes.wrong must define one Shape, not {number}"):
        found()


@pytest.mark.usefixtures("shapes")
def test_side_by_side_checks_each_name_by_its_class() -> None:
    choices = found()

    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[dict[str, Section], SideBySide(choices)])
    square = adapter.validate_python({"square": {"sides": 4, "width": 1.5}})["square"]
    assert type(square) is choices["square"]
    assert adapter.validate_python({}) == {}
    with pytest.raises(ValidationError, match=r"square\.width"):
        adapter.validate_python({"square": {"sides": 4}})
    with pytest.raises(ValidationError, match="triangle"):
        adapter.validate_python({"triangle": {"sides": 3}})


def test_one_of_names_what_is_allowed() -> None:
    check = one_of({"sgd": 1, "adamw": 2}).func
    assert check("sgd") == "sgd"  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="allowed: sgd, adamw"):
        check("adam")  # type: ignore[call-arg]
