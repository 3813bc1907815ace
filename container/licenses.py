"""The licences of all that the image and the page carry: `make licenses` writes docs/licenses.md.

Exits with 1 and a line for each that is unknown, or not among those that are accepted. In the image,
`python /app/container/licenses.py --system` lists the packages of Debian, which have their texts beside them.
"""

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import locks
import output

LOCK = Path(__file__).parents[1] / "requirements.lock"
DOCUMENTS = Path("/usr/share/doc")

ACCEPTED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC"),
    *("LicenseRef-BSD", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib", "ZPL-2.1"),
    "MPL-2.0",  # changes of its own files must be given away, and there are none
    *("Artistic-1.0-Perl", "EPL-1.0", "EPL-2.0"),  # each next to the GPL, as the user likes
    "GPL-2.0-only WITH GCC-exception-2.0",  # may be linked with anything
    "Apache-2.0 WITH LLVM-exception",
    *("CC-BY-4.0", "CC-BY-SA-3.0"),  # of data
    "LicenseRef-NVIDIA-Proprietary",  # may be passed on as a part of an application; not in the image `cpu`
}
# As packages put it, in lower case and without "the", "license" and stray signs.
WORDS = {
    "3-clause bsd": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software": "Apache-2.0",
    "apache version 2.0": "Apache-2.0",
    "bsd": "LicenseRef-BSD",
    "bsd 3-clause": "BSD-3-Clause",
    "gplv2 | eplv1": "GPL-2.0-only OR EPL-1.0",
    "gplv2 with linking exception": "GPL-2.0-only WITH GCC-exception-2.0",
    "isc": "ISC",
    "mit": "MIT",
    "mozilla public 2.0 mpl 2.0": "MPL-2.0",
    "new bsd": "BSD-3-Clause",
    "nvidia proprietary software": "LicenseRef-NVIDIA-Proprietary",
    "python software foundation": "PSF-2.0",
}
# Where the package says nothing, or a text without a name, or is installed for some versions of Python alone.
DECIDED = {
    "async-timeout": "Apache-2.0",  # for those before 3.11.3, of which the image's is one
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",  # has no files, only dependencies
    "onnxruntime": "MIT",  # onnxruntime-gpu in its place has the same
    "pendulum": "MIT",  # up to 3.12; after it "whenever" stands in its place
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "text-unidecode": "Artistic-1.0-Perl OR GPL-2.0-or-later",
    "whenever": "MIT",
}
# What comes from elsewhere: into the page and the model's reports.
OTHERS = {
    "Digits, this project": "Apache-2.0",
    "MNIST images, in the image's workspace and the page": "CC-BY-SA-3.0",
    "Digits of other writers, by E. Alpaydin and C. Kaynak, in digits/shift": "CC-BY-4.0",
    "onnxruntime-web, in the page": "MIT",
}


def carried() -> dict[str, str]:
    """The packages of the lock file that are installed here, and what each says of its licence."""
    found = {}
    for name in locks.read(LOCK):
        try:
            found[name] = DECIDED.get(name) or said(metadata.metadata(name))
        except metadata.PackageNotFoundError:  # of another system
            continue
    return found


def said(package: metadata.PackageMetadata) -> str:
    """An SPDX expression where the words of a package can be told, else these words."""
    fields = [(package.get(name) or "").strip() for name in ("License-Expression", "License")]
    classifiers = package.get_all("Classifier") or []
    fields += [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::")]
    expressions = [expression(field.splitlines()[0]) for field in fields if field]
    known = [text for text in expressions if not wrong(text)]
    return (known or expressions or ["nothing"])[0]


def expression(words: str) -> str:
    """`words` as an SPDX expression, if they are known."""
    plain = re.sub(r"\b(the|licen[cs]e)\b|[,()]", "", words.lower())
    return WORDS.get(" ".join(plain.split()), words)


def wrong(spdx: str) -> str:
    """Which licence of an SPDX expression is not accepted; empty where it may be used."""
    for either in re.split(r"\s+AND\s+(?![^(]*\))", spdx):
        choices = re.split(r"\s+OR\s+", either.strip("()"))
        if not any(choice in ACCEPTED for choice in choices):
            return either
    return ""


def table(found: dict[str, str]) -> Iterator[str]:
    """What is carried with its licence, and what comes from elsewhere."""
    yield "# Licences"
    yield ""
    yield "What the image and the page carry, written by `make licenses`: licences by their SPDX names."
    yield "The image `cpu` has none of NVIDIA's. The packages of Debian in the image have theirs beside them,"
    yield "listed by `docker run --rm digits python /app/container/licenses.py --system`."
    yield ""
    yield "| what | licence |"
    yield "|---|---|"
    for name, spdx in sorted((OTHERS | found).items(), key=lambda row: row[0].lower()):
        yield f"| {name} | {spdx} |"


def system() -> Iterator[str]:
    """Each package of Debian with its licences, as far as its text is in the form that names them."""
    for text in sorted(DOCUMENTS.glob("*/copyright")):
        content = text.read_text(encoding="utf-8", errors="replace")
        names = set(re.findall(r"^License:\s*(\S.*)$", content, re.MULTILINE))
        short = sorted(name for name in names if len(name) < 40)
        yield f"{text.parent.name}: {', '.join(short) or f'see {text}'}"


def main(arguments: list[str]) -> int:
    try:
        found = carried()
        output.say("\n".join(system() if arguments == ["--system"] else table(found)))
    except (locks.LockError, output.OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    faults = {name: wrong(spdx) for name, spdx in found.items()}
    for name, fault in faults.items():
        if fault:
            print(f"error: {name}: the licence {fault!r} is not accepted here", file=sys.stderr)
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
