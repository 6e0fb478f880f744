"""The built package: what an installed mirclr needs beside its code comes with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.house import PACKAGE, ROOT

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
ASK = """
import json, mirclr
from mirclr.datasets.registry import shipped_file
from mirclr.recipes.shelf import shipped
print(json.dumps([mirclr.__file__, str(shipped_file()), {name: str(path) for name, path in shipped().items()}]))
"""

KINDS = ("*.py", "*.j2", "*.js", "*.css")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mirclr as a wheel, built from a copy: a build writes into its source folder."""
    source = tmp_path_factory.mktemp("source")
    for name in ("mirclr", "recipes"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "datasets.yaml"):
        shutil.copy(ROOT / name, source)
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(source / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (made,) = (source / "dist").glob("*.whl")
    return made


def test_the_wheel_holds_every_module_every_template_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {str(path.relative_to(ROOT)) for kind in KINDS for path in PACKAGE.rglob(kind)}
    assert {"mirclr/plots/report.html.j2", "mirclr/plots/web/main.js"} <= needed
    assert needed - names == set()
    assert [name for name in names if name.endswith("/LICENSE")]
    assert not [name for name in names if name.startswith("tests")]


def test_an_installed_mirclr_finds_its_recipes_and_collections(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own: pip would take the mirclr under test out of ours."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run([*PIP, "--python", str(python), "install", "--no-deps", str(wheel)], check=True)
    (site,) = (tmp_path / "venv").glob("**/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    done = subprocess.run([str(python), "-c", ASK], cwd=tmp_path, capture_output=True, text=True, check=True)
    module, collections, recipes = json.loads(done.stdout)
    assert Path(module).is_relative_to(site)
    assert Path(collections).read_bytes() == (ROOT / "datasets.yaml").read_bytes()
    assert set(recipes) == {path.stem for path in (ROOT / "recipes").glob("*.yaml")}
    assert all(Path(path).is_relative_to(tmp_path.resolve()) for path in recipes.values())


def test_constraints_pin_every_dependency_exactly_and_name_no_build_of_torch() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), pins
    pinned = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    needed = re.findall(r'^    "([\w-]+)[><=]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert len(needed) > 15
    assert {name.lower().replace("_", "-") for name in needed} - pinned == set()
    assert "torch==2.13.0" in pins
    assert not [name for name in pinned if name.startswith(("nvidia", "cuda", "triton"))]
