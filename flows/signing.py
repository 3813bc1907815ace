"""Who published a release: a signature by OpenSSF's model-signing, with a key of one's own and no network.

`python -m flows.signing FOLDER --key FILE` signs, `--new FILE` makes a key. The signature is a file of the
release, `model.sig`, over all the others; `model_signing verify key` checks it without this project.
"""

import argparse
import json
import os
import sys
from base64 import b64decode
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from digits.common.files import scratch_folder, sha256
from digits.common.text import LONGEST_MESSAGE, cut
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
        place = folder / SIGNATURE if error.filename in (temporary, str(temporary)) else error.filename
        raise ProjectError(f"{place or key}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:  # TypeError: a password is missing, or is not needed
        raise ProjectError(f"{key} is no key to sign with: {_line(error)}") from error
    finally:
        with suppress(OSError):  # of a disk that cannot be written to, which is told already
            temporary.unlink()


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
    """Make a key that its owner alone can read, and the public one beside it, which is returned.

    Raises:
        ProjectError: a file is there already, or cannot be written; then there is neither of the two.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    public_path = _public_path(path)
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    placed: list[Path] = []
    try:
        with scratch_folder(path) as folder:
            whole = []
            for target, content, mode in ((path, private, 0o600), (public_path, public, 0o644)):
                whole.append((folder / target.name, target))
                with os.fdopen(
                    os.open(whole[-1][0], os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb"
                ) as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            for source, target in whole:
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # to replace nobody's
                placed.append(target)
                os.replace(source, target)
    except BaseException as error:
        for target in placed:
            target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            place = public_path if error.filename == str(public_path) else path
            raise ProjectError(f"{place}: {error.strerror}; no key is made") from error
        raise
    return public_path


def _public_path(path: Path) -> Path:
    """Where the public key of this new one comes to be; nothing is there, nor in the place of the new one."""
    if not path.name or path.is_dir():
        raise ProjectError(f"{path}: Is a directory; no key is made")
    if path.suffix.lower() == ".pub":
        raise ProjectError(f"{path}: a name that ends in .pub is for the public key; no key is made")
    if not path.parent.is_dir():
        raise ProjectError(f"{path}: No such file or directory; no key is made")
    public = path.with_suffix(".pub")
    if os.path.lexists(path):
        raise ProjectError(f"{path}: File exists; no key is made")
    if os.path.lexists(public):
        raise ProjectError(
            f"{public}: File exists, and earlier releases may be checked with it; no key is made"
        )
    return public


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
        print(f"error: {cut(str(error), LONGEST_MESSAGE)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or chosen.folder}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
