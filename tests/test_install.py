"""`make setup` takes the locked files from the indexes of pip, and goes on where it was interrupted."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

import install
from tests.patience import PATIENCE
from tests.project import ROOT

OFFER = "No NVIDIA GPU is here: `make setup VARIANT=cpu` downloads about 600 MB instead."
TOOLS = ["uv", "pip"]


def wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes]) -> str:
    """Make a wheel in `folder`; comes back: its line of a lock file."""
    own = f"{name}-{version}.dist-info"
    said = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    of_itself = {"METADATA": said, "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    content = {**files, **{f"{own}/{file}": text.encode() for file, text in of_itself.items()}}
    rows = [f"{file},sha256={short(data)},{len(data)}" for file, data in content.items()]
    content[f"{own}/RECORD"] = "\n".join([*rows, f"{own}/RECORD,,\n"]).encode()
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with ZipFile(made, "w") as archive:
        for file, data in content.items():
            entry = ZipInfo(file)
            entry.external_attr = 0o100755 << 16  # an executable file: uv itself
            archive.writestr(entry, data)
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n"


def short(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def index(folder: Path, name: str, version: str, data: bytes) -> tuple[str, str]:
    """An index with one wheel, `data` in its module: its address, and its line of a lock file."""
    own = folder / "simple" / name
    own.mkdir(parents=True)
    line = wheel(own, name, version, {f"{name}.py": data})
    (made,) = own.iterdir()
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    (own / "index.html").write_text(f"<a href='{made.name}#sha256={digest}'>{made.name}</a>")
    return own.parent.as_uri(), line


class Checkout:
    """What `make setup` needs of this project, with small locks, and a folder of wheels in pip.conf."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        self.site = next(folder.glob(".venv/lib/python*/site-packages"), folder)

    def lock(self, *lines: str) -> None:
        (self.folder / "requirements.lock").write_text("".join(lines))

    def pip_conf(self, text: str) -> None:
        file = self.folder / "pip" / "pip.conf"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def make(self, *words: str, check: bool = True, **environment: str) -> str:
        """Call make as somebody with no uv and no settings but ours; all it says comes back."""
        ours = ("PIP_", "UV_", "MAKE", "MFLAGS", "VARIANT", "INSTALLER", "NVIDIA", "VIRTUAL_ENV")
        path = [each for each in os.environ["PATH"].split(os.pathsep) if not Path(each, "uv").exists()]
        home = {name: str(self.folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS")}
        done = subprocess.run(
            ["make", f"PYTHON={sys.executable}", *words],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if not name.startswith(ours)}
            | home
            | {"PATH": os.pathsep.join(path)}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert (done.returncode == 0) == check, done.stdout
        return done.stdout

    def setup(self, tool: str, *words: str) -> None:
        """`make setup` with this one, and not with the other after it."""
        said = self.make("setup", f"INSTALLER={tool}", *words)
        assert ("Successfully installed" in said) == (tool == "pip"), said

    def module(self, name: str = "good") -> str:
        return (self.site / f"{name}.py").read_text()


@pytest.fixture(scope="module")
def first(costly: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout after its first `make setup`, and what that said."""
    folder = tmp_path_factory.mktemp("first")
    for name in ("Makefile", "install.py"):
        shutil.copy(ROOT / name, folder)
    checkout = Checkout(folder)
    checkout.wheels.mkdir()
    checkout.pip_conf(f"[global]\nno-index = true\nfind-links = {folder / 'wheels'} {folder / 'absent'}\n")
    checkout.lock(wheel(checkout.wheels, "good", "1.0", {"good.py": b"ONE = 1\n"}))
    uv = Path(sysconfig.get_path("scripts"), "uv").read_bytes()
    locked = wheel(checkout.wheels, "uv", "1.0", {"uv-1.0.data/scripts/uv": uv})
    (folder / "requirements-dev.lock").write_text(locked)
    return folder, checkout.make("setup", "NVIDIA=")


@pytest.fixture
def checkout(first: tuple[Path, str], tmp_path: Path) -> Checkout:
    """A copy of it."""
    shutil.copytree(first[0], tmp_path, symlinks=True, dirs_exist_ok=True)
    found = Checkout(tmp_path)
    found.pip_conf(f"[global]\nno-index = true\nfind-links = {found.wheels}\n")
    return found


def test_the_first_set_up_offers_the_small_variant_and_gets_the_locked_uv(first: tuple[Path, str]) -> None:
    folder, said = first
    assert OFFER in said.splitlines()
    assert "3.6 GB to download on Linux" in said
    assert "There is no uv here: pip fetches the locked one, which then installs the rest." in said
    assert " + good==1.0" in said.splitlines()  # so says uv
    assert "No broken requirements found." in said
    checkout = Checkout(folder)
    assert checkout.module() == "ONE = 1\n"
    assert (folder / ".venv/bin/uv").exists()
    assert "Nothing to be done" in checkout.make("setup")


def test_the_small_variant_is_offered_to_those_alone_who_may_want_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    checkout = Checkout(tmp_path)
    for name in ("requirements.lock", "requirements-cpu.lock", "requirements-dev.lock"):
        (tmp_path / name).touch()
    assert OFFER in checkout.make("-n", "setup", "NVIDIA=")
    assert OFFER not in checkout.make("-n", "setup", "NVIDIA=/dev/nvidiactl")
    assert OFFER not in checkout.make("-n", "setup", "NVIDIA=", "VARIANT=default")
    assert OFFER not in checkout.make("-n", "setup", "NVIDIA=", VARIANT="cpu")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.variant").write_text("default\n")
    assert OFFER not in checkout.make("-n", "setup", "NVIDIA=")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_that_is_not_locked_by_hash_is_refused(checkout: Checkout, tool: str) -> None:
    line = wheel(checkout.wheels, "good", "2.0", {"good.py": b"TWO = 2\n"})
    wheel(checkout.wheels, "good", "2.0", {"good.py": b"EVIL = 3\n"})
    for wanted in (line, "good==2.0\n"):
        checkout.lock(wanted)
        said = checkout.make("setup", f"INSTALLER={tool}", check=False)
        assert "hash" in said.lower()
        assert checkout.module() == "ONE = 1\n"

    wheel(checkout.wheels, "good", "2.0", {"good.py": b"TWO = 2\n"})
    checkout.lock(line)
    checkout.setup(tool)
    assert checkout.module() == "TWO = 2\n"


@pytest.mark.parametrize("tool", TOOLS)
def test_an_interrupted_set_up_is_taken_up_again(checkout: Checkout, tool: str) -> None:
    names = ("cut", "half", "bare")
    checkout.lock(*(wheel(checkout.wheels, name, "1.0", {f"{name}.py": b"ALL = 1\n"}) for name in names))
    checkout.setup(tool)
    (checkout.site / "cut.py").unlink()  # it is a link to uv's cache
    (checkout.site / "cut.py").write_text("ALL")
    record = checkout.site / "half-1.0.dist-info/RECORD"
    record.write_text("half.py,,\n")  # as it came in the wheel, before the installer has added its own files
    (checkout.site / "half.py").unlink()
    (checkout.site / "bare-1.0.dist-info/RECORD").unlink()
    (checkout.site / "bare.py").unlink()
    (checkout.folder / ".venv/.installing").touch()
    (checkout.folder / "requirements.lock").touch()
    checkout.setup(tool)
    assert {checkout.module(name) for name in names} == {"ALL = 1\n"}
    assert not (checkout.folder / ".venv/.installing").exists()


@pytest.mark.parametrize("tool", TOOLS)
def test_of_two_indexes_the_one_with_the_locked_file_serves_it(checkout: Checkout, tool: str) -> None:
    other, _ = index(checkout.folder / "other", "good", "2.0", b"OTHER = 1\n")
    right, line = index(checkout.folder / "right", "good", "2.0", b"RIGHT = 1\n")
    checkout.pip_conf(f"[global]\nindex-url = {other}\nextra-index-url =\n    {other}\n    {right}\n")
    checkout.lock(line)
    checkout.make("setup", f"INSTALLER={tool}")
    assert checkout.module() == "RIGHT = 1\n"


@pytest.mark.parametrize("tool", TOOLS)
def test_the_cpu_variant_takes_torch_from_its_own_index(checkout: Checkout, tool: str) -> None:
    address, _ = index(checkout.folder / "own", "torch", "1.0+cpu", b"CPU = 1\n")
    wheel(checkout.wheels, "torch", "1.0", {"torch.py": b"CUDA = 1\n"})
    shutil.copy(checkout.folder / "requirements.lock", checkout.folder / "requirements-cpu.lock")
    (checkout.folder / ".venv/.variant").write_text("cpu\n")
    checkout.pip_conf(f"[global]\nfind-links = {checkout.wheels}\nindex-url = {checkout.wheels.as_uri()}\n")
    checkout.setup(tool, f"TORCH_CPU_INDEX={address}", "TORCH_CPU=torch==1.0+cpu")
    assert checkout.module("torch") == "CPU = 1\n"


def test_where_uv_cannot_do_it_pip_does(checkout: Checkout) -> None:
    checkout.lock(wheel(checkout.wheels, "good", "2.0", {"good.py": b"TWO = 2\n"}))
    said = checkout.make("setup", UV_FIND_LINKS=str(checkout.folder / "absent"))
    assert "uv could not install them: pip tries." in said.splitlines()
    assert checkout.module() == "TWO = 2\n"


def test_where_no_uv_is_for_this_machine_pip_installs(checkout: Checkout) -> None:
    lock = checkout.folder / "requirements-dev.lock"
    lock.write_text(lock.read_text().replace("uv==1.0", "uv==1.0 ; sys_platform == 'other'"))
    (checkout.folder / ".venv/bin/uv").unlink()
    checkout.lock(wheel(checkout.wheels, "good", "2.0", {"good.py": b"TWO = 2\n"}))
    said = checkout.make("setup")
    assert "There is no uv here: pip installs, one package after the other." in said.splitlines()
    assert checkout.module() == "TWO = 2\n"


def test_uv_is_told_what_pip_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "links").mkdir()
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://one/simple\ncert = /ca.pem\nproxy = http://proxy\ntimeout = 7\n"
        f"find-links =\n    ~/links\n    {tmp_path}/absent\n    https://links\nno-index = yes\n"
        "[install]\nindex-url = https://two/simple\nextra-index-url =\n    https://a\n    https://b\n"
        "[download]\nextra-index-url = https://nobody\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")  # passed over, as by pip
    monkeypatch.setenv("PIP_TRUSTED_HOST", "one two")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "9")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    assert install.for_uv(install.options_of_pip()) == (
        ["--no-index"],
        {
            "UV_DEFAULT_INDEX": "https://two/simple",
            "UV_INDEX": "https://a https://b",
            "UV_FIND_LINKS": f"{tmp_path}/links,https://links",
            "UV_INSECURE_HOST": "one two",
            "UV_SYSTEM_CERTS": "true",
            "SSL_CERT_FILE": "/ca.pem",
            "HTTP_PROXY": "http://proxy",
            "HTTPS_PROXY": "http://proxy",
        },
    )
    monkeypatch.setenv("PIP_INDEX_URL", "https://three/simple")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    _, environment = install.for_uv(install.options_of_pip())
    assert environment["UV_DEFAULT_INDEX"] == "https://three/simple"
    assert environment["UV_COMPILE_BYTECODE"] == "true"
    (tmp_path / "pip.conf").write_text("index-url")
    with pytest.raises(SystemExit, match=r"pip\.conf"):
        install.options_of_pip()
