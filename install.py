"""Install locked packages into the environment whose Python runs this, with uv, or with pip without one.

    .venv/bin/python install.py requirements.lock requirements-dev.lock      # files with hashes
    .venv/bin/python install.py --index-url https://… torch==2.14.1+cpu      # by exact version

Nothing is resolved, for the lock files are complete. Left to it, the pip of Debian 12 trips over
`sqlalchemy[asyncio]`. An interrupted call is taken up again by the next one. Python's own library is all that
this uses: no other is there yet.
"""

import argparse
import ast
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PYTHON = sys.executable
SITE = Path(sysconfig.get_path("purelib"))
UNFINISHED = Path(sys.prefix, ".installing")
LOCK_WITH_UV = Path(__file__).with_name("requirements-dev.lock")
PIP = (PYTHON, "-m", "pip", "--disable-pip-version-check")
TRUE = {"1", "true", "t", "yes", "y", "on"}  # to pip
# As with pip, an index that has other versions of a package hides none. Where two have the same version, uv
# looks at the first alone; should that file have another hash, pip finds the locked one.
UV_INSTALL = ("pip", "install", "--python", PYTHON, "--index-strategy", "unsafe-best-match")


def main() -> None:
    """Install what the command line names.

    Raises:
        SystemExit: it could not be installed; the installer has said why.
    """
    parser = argparse.ArgumentParser(description="Install locked packages with uv, or with pip.")
    parser.add_argument("what", nargs="+", help="files of requirements with hashes, or name==version")
    parser.add_argument("--index-url", help="take them from this index, not from PyPI")
    parser.add_argument("--with", dest="tool", choices=["uv", "pip"], default="uv", help="uv if not told")
    options = parser.parse_args()

    locks = [what for what in options.what if what.endswith(".lock")]
    arguments = ["--no-deps", *(what for what in options.what if what not in locks)]
    if locks:
        arguments += ["--require-hashes", *(f"--requirement={lock}" for lock in locks)]
    if options.tool == "uv" and (uv := find_uv()):
        index = ["--default-index", options.index_url] if options.index_url else []
        flags, environment = for_uv(options_of_pip())
        if run([uv, *UV_INSTALL, *flags, *index, *arguments], environment) == 0:
            return
        print("uv could not install them: pip tries.", flush=True)
    index = ["--index-url", options.index_url] if options.index_url else []
    if code := run([*PIP, "install", *index, *arguments]):
        sys.exit(code)


def run(command: list[str], environment: dict[str, str] | None = None) -> int:
    """Call an installer, and give back its exit code; until it is 0, a file says that there may be halves."""
    if UNFINISHED.exists():
        forget_halves()
    UNFINISHED.touch()
    code = subprocess.run(command, env=os.environ | (environment or {})).returncode
    if code < 0:
        sys.exit(128 - code)  # it was killed, which is no reason to try another
    if code == 0:
        UNFINISHED.unlink()
    return code


def forget_halves() -> None:
    """Take away the metadata of packages that are not whole: they would be taken for installed."""
    for metadata in SITE.glob("*.dist-info"):
        if not is_whole(metadata):
            shutil.rmtree(metadata)


def is_whole(metadata: Path) -> bool:
    """Whether a package has all files of its RECORD, in their sizes, and was installed up to the end.

    Both installers add INSTALLER to the RECORD, which they write last.
    """
    record = metadata / "RECORD"
    if not record.is_file():
        return False
    with record.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not any(row[:1] == [f"{metadata.name}/INSTALLER"] for row in rows):
        return False
    for row in rows:
        if len(row) != 3:
            return False
        path, _, size = row
        file_of_it = SITE / path
        if size and not (file_of_it.is_file() and file_of_it.stat().st_size == int(size)):
            return False
    return True


def find_uv() -> str | None:
    """The uv of this environment or of PATH; where there is none, the locked one is installed by pip."""
    own = str(Path(PYTHON).parent)
    found = shutil.which("uv", path=f"{own}{os.pathsep}{os.environ.get('PATH', '')}")
    if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
        return found
    entry = re.search(r"^uv==(?:.*\\\n)*.*\n", LOCK_WITH_UV.read_text(encoding="utf-8"), re.MULTILINE)
    if entry:
        print("There is no uv here: pip fetches the locked one, which then installs the rest.", flush=True)
        with tempfile.NamedTemporaryFile("w", suffix=".lock", encoding="utf-8") as lock:
            lock.write(entry[0])
            lock.flush()
            run([*PIP, "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", lock.name])
    if not (found := shutil.which("uv", path=own)):
        print("There is no uv here: pip installs, one package after the other.", flush=True)
    return found


def options_of_pip() -> dict[str, str]:
    """What pip's files and environment set for its command `install`; the environment goes first."""
    said = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True)
    if said.returncode:
        sys.exit(said.stderr.strip())
    levels: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in said.stdout.splitlines():
        name, _, quoted = line.partition("=")
        level, _, option = name.rpartition(".")
        if level in levels and (value := str(ast.literal_eval(quoted))):
            levels[level][option] = value
    return levels["global"] | levels["install"] | levels[":env:"]


def for_uv(options: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Flags and environment with which uv uses the same indexes and certificates as pip with these options.

    Addresses may have passwords in them, so they are in the environment, which others cannot see. What uv has
    been told by variables of its own goes first. Constraints are left out: the versions are locked.
    """
    links = [os.path.expanduser(link) for link in options.get("find-links", "").split()]
    proxy = options.get("proxy", "")
    told = {
        "UV_DEFAULT_INDEX": options.get("index-url", ""),
        "UV_INDEX": " ".join(options.get("extra-index-url", "").split()),
        # pip passes over a folder that is not there.
        "UV_FIND_LINKS": ",".join(link for link in links if "://" in link or Path(link).exists()),
        "UV_INSECURE_HOST": " ".join(options.get("trusted-host", "").split()),
        "UV_HTTP_TIMEOUT": options.get("timeout", options.get("default-timeout", "")),
        "UV_SYSTEM_CERTS": "true",
        # Where Python may not write its bytecode later; importing PyTorch without takes twice as long.
        "UV_COMPILE_BYTECODE": "true" if os.environ.get("PYTHONDONTWRITEBYTECODE") else "",
        "SSL_CERT_FILE": options.get("cert", ""),
        "SSL_CLIENT_CERT": options.get("client-cert", ""),
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), proxy),
    }
    own = {name for name in os.environ if name.startswith("UV_")}
    flags = ["--no-index"] if options.get("no-index", "").lower() in TRUE else []
    return flags, {name: value for name, value in told.items() if value and name not in own}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without the installer
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted: the same command goes on from here.")
