"""Mirrors whose answers never end, or lead elsewhere."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from digits.data import mirrors
from digits.data.download import download
from tests.digits.data.conftest import StartServer
from tests.digits.data.mirror import FILES, PACKED, PATIENCE, Server, assert_complete, endless

OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS: dict[str, list[bytes]] = {
    "silence": [b""],
    "status": [b"H"],
    "header": [OK, b"X"],
    "continue": [b"HTTP/1.1 100 Continue\r\n\r\n"],
    "body": [OK, b"Content-Length: 10000\r\n\r\n", b"x"],
    "body of no length": [OK, b"\r\n", b"x"],
    "chunks": [OK, b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"],
    "chunk header": [OK, b"Transfer-Encoding: chunked\r\n\r\n", b"0"],
    "trailers": [OK, b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 100],
    "missing": [b"HTTP/1.1 404 Not Found\r\n", b"X"],
    "redirect": [b"HTTP/1.1 302 Found\r\nLocation: /", b"x"],
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_trickling_server_is_left_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its answer never ends, and no pause in it is a timeout's."""
    monkeypatch.setattr(mirrors, "TIME_LIMIT", 0.5)
    with endless(ENDLESS[kind]) as address, pytest.raises(mirrors.MirrorError) as error:
        mirrors.WebMirror(f"http://{address}", 2, PATIENCE).fetch("images", 10_240, tmp_path / "images")
    assert str(error.value) == "images.gz did not arrive within 0.5 seconds"


@pytest.mark.parametrize("proxy", [OK, b""])
def test_so_is_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: bytes) -> None:
    monkeypatch.setattr(mirrors, "TIME_LIMIT", 0.5)
    mirror = mirrors.WebMirror("https://digits.invalid", 1, PATIENCE)
    with endless([proxy, b"X"]) as address:
        monkeypatch.setenv("https_proxy", address)
        with pytest.raises(mirrors.MirrorError, match=r"did not arrive within 0\.5 seconds"):
            mirror.fetch("images", 10, tmp_path / "images")


@pytest.mark.parametrize("kind", ["header", "body", "chunks"])
def test_so_is_one_that_enciphers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    certificate = self_signed(tmp_path / "certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    there = [OK, b"Content-Length: 5\r\n\r\nwhole", b""]
    with endless(there, ENDLESS[kind], tls=context) as address:
        mirror = mirrors.WebMirror(f"https://{address}", 1, PATIENCE)
        mirror.fetch("images", 5, tmp_path / "images", as_is=True)
        monkeypatch.setattr(mirrors, "TIME_LIMIT", 1.0)
        with pytest.raises(mirrors.MirrorError, match="images did not arrive within 1 seconds"):
            mirror.fetch("images", 10_240, tmp_path / "images", as_is=True)


def self_signed(path: Path) -> Path:
    """A key, and a certificate of it for this machine."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "digits")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = certificate.not_valid_before(now - timedelta(days=1)).not_valid_after(
        now + timedelta(days=1)
    )
    signed = certificate.add_extension(here, critical=False).sign(key, SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(pem))
    return path


def test_after_it_comes_the_next_mirror(
    start: StartServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        monkeypatch.setattr(mirrors, "TIME_LIMIT", PATIENCE)

    monkeypatch.setattr(mirrors, "TIME_LIMIT", 0.5)
    with endless(ENDLESS["body"]) as address:
        download([f"http://{address}/", start(Server(PACKED))], folder, files=FILES, log=log)
    assert_complete(folder)
    assert lines[0] == f"http://{address}/: images.gz did not arrive within 0.5 seconds"


def test_what_comes_with_a_redirect_is_not_read(tmp_path: Path) -> None:
    """However much there is of it."""
    there = b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", bytes(1 << 20)
    with endless(there, [OK, b"Content-Length: 5\r\n\r\n", b"whole"], pause=0) as address:
        mirrors.WebMirror(f"http://{address}", 1, PATIENCE).fetch(
            "images", 5, tmp_path / "images", as_is=True
        )
    assert (tmp_path / "images").read_bytes() == b"whole"


def test_no_answer_leads_to_ftp(tmp_path: Path) -> None:
    away = [b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/images\r\n\r\n", b""]
    with endless(away) as address, pytest.raises(mirrors.MirrorError, match="unknown url type: ftp"):
        mirrors.WebMirror(f"http://{address}", 1, PATIENCE).fetch("images", 5, tmp_path / "images")
