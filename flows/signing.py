"""Who published a release: a signature by OpenSSF's model-signing, with a key of one's own and no network.

`python -m flows.signing FOLDER --key FILE` signs, `--new FILE` makes a key. The signature is a file of the
release, `model.sig`, over all the others; `model_signing verify key` checks it without this project.
"""

import argparse
import json
import os
import sys
from base64 import b64decode
from importlib import import_module
from pathlib import Path
from typing import Any

from digits.common.files import sha256
from flows.provenance import SUMS
from flows.received import UnreadableError, content, text
from prefect_dvc.project import ProjectError

KEY = "DIGITS_SIGNING_KEY"
"""The file of the private key with which every release is signed; without it, none is."""
PASSWORD = "DIGITS_SIGNING_PASSWORD"
SIGNATURE = "model.sig"


def sign(folder: Path, key: Path) -> None:
    """Write the signature of a release, in one step.

    Raises:
        ProjectError: the key cannot be read or is of another kind, or model-signing is not here.
    """
    signing = _tool("signing")
    temporary = folder.parent / f".{os.getpid()}.sig.part"  # beside the folder, whose files are signed
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=key, password=os.environ.get(PASSWORD))
        signer.set_hashing_config(_hashing(folder)).sign(folder, temporary)
        os.replace(temporary, folder / SIGNATURE)
    except OSError as error:
        raise ProjectError(f"{error.filename or key}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:  # TypeError: a password is missing, or is not needed
        raise ProjectError(f"{key} is no key to sign with: {_line(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def fault(folder: Path, public_key: Path) -> str | None:
    """Why this release is not as the owner of the key signed it; None if it is."""
    if not os.path.lexists(folder / SIGNATURE):
        return f"{folder} is not signed: there is no {SIGNATURE} in it"
    try:
        text(folder / SIGNATURE)
    except UnreadableError as error:
        return str(error)
    verifying = _tool("verifying")
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
        verifier.set_hashing_config(_hashing(folder)).verify(folder, folder / SIGNATURE)
    except OSError as error:
        return f"{error.filename or public_key}: {error.strerror or error}"
    # Of a signature from outside, the library's parsers find whatever is wrong with it.
    except Exception as error:
        names = _changed(folder)
        if names:
            return f"{SIGNATURE} is of other files: {', '.join(names)}"
        return f"{SIGNATURE} is no signature of this release by {public_key}: {_line(error)}"
    return None


def new_key(path: Path) -> Path:
    """Make a key that its owner alone can read, and the public one beside it, which is returned."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private)
        path.with_suffix(".pub").write_bytes(public)
    except OSError as error:
        raise ProjectError(f"{error.filename}: {error.strerror}; no key is made") from error
    return path.with_suffix(".pub")


def _hashing(folder: Path) -> Any:
    """All files of the folder but the signature."""
    return _tool("hashing").Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)


def _tool(module: str) -> Any:
    try:
        return import_module(f"model_signing.{module}")
    except ImportError as error:
        raise ProjectError(f"model-signing is not here ({error}): make release-tools") from error


def _changed(folder: Path) -> list[str]:
    """Files that are not those of the signature, as far as it can be read at all."""
    try:
        bundle = content(folder / SIGNATURE)
        said = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]["resources"]
        signed = {str(file["name"]): str(file["digest"]) for file in said}
    except (UnreadableError, ValueError, LookupError, TypeError, RecursionError):
        return []
    others = [path for path in folder.iterdir() if path.is_file() and path.name != SIGNATURE]
    here = {path.name: sha256(path) for path in others}
    return sorted(name for name in here.keys() | signed.keys() if here.get(name) != signed.get(name))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m flows.signing", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", nargs="?", type=Path, help="of the release to sign")
    what.add_argument("--new", type=Path, metavar="FILE", help="make a key, and the public one beside it")
    parser.add_argument("--key", type=Path, default=os.environ.get(KEY), help=f"the private key; else ${KEY}")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.new:
            print(f"{chosen.new} is the key to sign with; {new_key(chosen.new)} is for everybody")
        elif not chosen.key:
            raise ProjectError(f"say which key: --key FILE, or {KEY}")
        elif not (chosen.folder / SUMS).is_file():
            raise ProjectError(f"{chosen.folder} is no release: there is no {SUMS} in it")
        else:
            sign(chosen.folder.resolve(), Path(chosen.key))
            print(f"{chosen.folder / SIGNATURE} is the signature of all other files in it")
    except ProjectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
