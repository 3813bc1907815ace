"""The images of this workspace in MLCommons' Croissant format: `make croissant` writes data/croissant.json.

It says of data/raw/ what `set.json` says there: the set, its licence and classes, each file's SHA-256.
Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlcroissant

from digits.common.about import About
from digits.common.errors import DigitsError
from digits.common.files import replacing
from digits.common.text import LONGEST_MESSAGE, cut
from digits.data import raw
from flows.bom import DATA_LICENSES

RAW = Path("data/raw")
CROISSANT = Path("data/croissant.json")


def describe(about: About, folder: str) -> dict[str, Any]:
    """The description as JSON-LD; `folder` is where the files lie, seen from it.

    Raises:
        ValidationError: of mlcroissant, where Croissant does not allow what it says.
    """
    spdx = DATA_LICENSES.get(about.license)
    counts = about.images
    files = [
        mlcroissant.FileObject(
            id=name,
            name=name,
            content_url=f"{folder}/{name}",
            sha256=digest,
            encoding_formats=["application/octet-stream"],
            description="Grey values, 28 by 28, as IDX." if "images" in name else "Labels, as IDX.",
        )
        for name, digest in about.sha256.items()
    ]
    text, number = mlcroissant.DataType.TEXT, mlcroissant.DataType.INTEGER
    classes = mlcroissant.RecordSet(
        id="classes",
        name="classes",
        data_types=["sc:Enumeration"],
        key=["classes/label"],
        fields=[
            mlcroissant.Field(id="classes/label", name="label", data_types=[number]),
            mlcroissant.Field(id="classes/name", name="name", data_types=[text]),
        ],
        data=[{"classes/label": label, "classes/name": name} for label, name in enumerate(about.classes)],
    )
    metadata = mlcroissant.Metadata(
        name=about.title,
        description=f"Images of {len(about.classes)} classes, each of {about.thing}: "
        + ", ".join(f"{count:,} in {prefix}" for prefix, count in counts.items()),
        license=[f"https://spdx.org/licenses/{spdx}.html" if spdx else about.license],
        distribution=files,
        record_sets=[classes],
    )
    found: dict[str, Any] = metadata.to_json()
    return found


def main() -> int:
    try:
        about = raw.read_about(RAW)
    except FileNotFoundError:
        print(f"error: {RAW} is not here; `dvc repro download` fetches it", file=sys.stderr)
        return 1
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or RAW}: {error.strerror or error}", file=sys.stderr)
        return 1
    try:
        content = json.dumps(describe(about, RAW.name), indent=2, ensure_ascii=False)
        with replacing(CROISSANT) as temporary:
            temporary.write_text(content + "\n", encoding="utf-8")
    except mlcroissant.ValidationError as error:
        said = cut(" ".join(str(error).split()), LONGEST_MESSAGE)
        print(f"error: Croissant does not allow what {RAW} says of itself: {said}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {CROISSANT}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(f"{CROISSANT}: {about.title}, {len(about.sha256)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
