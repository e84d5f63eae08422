"""The files in deploy/ are accepted by the programs that they are for, where those are installed."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import trustme
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, at most a minute; skips the test where it is not installed."""
    program = shutil.which(str(command[0]), path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=60, check=False)


def exposure_at_most(tenths: int, unit: Path) -> bool:
    """Whether systemd rates the exposure of `unit` at no more than `tenths` / 10 (0 is best, 10 worst)."""
    return run("systemd-analyze", "security", "--offline=true", f"--threshold={tenths}", unit).returncode == 0


def test_the_unit_is_hardened_to_2_or_better(tmp_path: Path) -> None:
    assert exposure_at_most(20, DEPLOY / "kith-server.service")
    weaker = tmp_path / "kith-server.service"
    lines = (DEPLOY / "kith-server.service").read_text().splitlines()
    weaker.write_text("\n".join(line for line in lines if not line.startswith(("SystemCallFilter", "CapabilityBound"))))
    assert not exposure_at_most(20, weaker)


def test_the_unit_is_well_formed(tmp_path: Path) -> None:
    text = (DEPLOY / "kith-server.service").read_text()
    unit = tmp_path / "kith-server.service"
    unit.write_text(text.replace("/opt/kithbook/bin/kith-server", "/bin/true"))
    done = run("systemd-analyze", "verify", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_nginx_accepts_its_example(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("kith.example")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    text = (DEPLOY / "nginx.conf").read_text()
    for name in ("fullchain", "privkey"):
        text = text.replace(f"/etc/letsencrypt/live/kith.example/{name}.pem", str(tmp_path / "both.pem"))
    text = text.replace("/var/log/nginx", str(tmp_path))
    frame = f"pid {tmp_path}/pid; error_log {tmp_path}/main.log; events {{}} http {{ {text}\n }}"
    (tmp_path / "nginx.conf").write_text(frame)
    done = run("nginx", "-t", "-q", "-c", tmp_path / "nginx.conf")
    # A test run does not listen, but it looks whether the machine has IPv6 at all.
    assert done.returncode == 0 or "Address family not supported" in done.stderr, done.stderr


def test_caddy_accepts_its_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run("caddy", "validate", "--config", DEPLOY / "Caddyfile", "--adapter", "caddyfile")
    assert done.returncode == 0, done.stderr
    assert "Valid configuration" in done.stdout + done.stderr


def test_setup_installs_pinned_versions_of_everything_that_is_asked_for() -> None:
    repository = DEPLOY.parent
    lines = (repository / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["server"], *extras["dev"]):
        wanted = Requirement(text)
        pinned = versions.get(canonicalize_name(wanted.name))
        assert pinned is not None, f"{wanted.name} has no line in constraints.txt"
        assert wanted.specifier.contains(pinned), f"constraints.txt pins {wanted.name} {pinned}, but {text} is wanted"
    assert lines[1:] == sorted(lines[1:], key=str.lower)
