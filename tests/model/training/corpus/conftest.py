"""Synthetic packages: wheels, source distributions and modules with text of their own."""

import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

MIT = (
    "MIT License\n\nCopyright (c) 2025 Somebody\n\nPermission is hereby granted, free of charge, to any person\n"
    "obtaining a copy of this software and associated documentation files, to deal in the Software.\n"
)
_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su", "ta", "ve")


def module_text(seed: str, num_functions: int = 8) -> str:
    """Python source that shares no line with the module of another seed."""
    source = random.Random(seed)

    def name() -> str:
        return "".join(source.choice(_SYLLABLES) for _ in range(5))

    lines = ["import os", ""]
    for _ in range(num_functions):
        function, first, second, result = name(), name(), name(), name()
        lines += [
            f"def {function}({first}, {second}):",
            f"    {result} = {first}.{name()}({second})",
            f"    if {result} is None or {second} == os.{name()}:",
            f"        raise {name().title()}Error({first})",
            f"    return {result}.{name()}",
            "",
        ]
    return "\n".join(lines) + "\n"


def _metadata(name: str, version: str, licence: str, extra: str) -> str:
    return f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: {licence}\n{extra}\n"


@pytest.fixture
def make_module() -> Callable[..., str]:
    return module_text


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[..., Path]:
    """Writes a wheel; `files` maps paths to text or bytes, None gives one module named like the project."""

    def make(
        name: str,
        version: str = "1.0",
        files: Mapping[str, str | bytes] | None = None,
        *,
        licence: str = "MIT",
        licence_text: str = MIT,
        extra: str = "",
        folder: str = "index",
    ) -> Path:
        package = name.replace("-", "_")
        path = tmp_path / folder / f"{package}-{version}-py3-none-any.whl"
        path.parent.mkdir(exist_ok=True)
        info = f"{package}-{version}.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, text in (files or {f"{package}/core.py": module_text(name)}).items():
                archive.writestr(file, text)
            archive.writestr(f"{info}/METADATA", _metadata(name, version, licence, extra))
            if licence_text:
                archive.writestr(f"{info}/licenses/LICENSE", licence_text)
        return path

    return make


@pytest.fixture
def make_sdist(tmp_path: Path) -> Callable[..., Path]:
    """Writes a source distribution; members may be (header size, bytes) to lie about their size."""

    def make(name: str, version: str = "1.0", files: Mapping[str, str] | None = None, *, folder: str = "index") -> Path:
        stem = f"{name.replace('-', '_')}-{version}"
        path = tmp_path / folder / f"{stem}.tar.gz"
        path.parent.mkdir(exist_ok=True)
        everything = {
            "PKG-INFO": _metadata(name, version, "MIT", ""),
            "LICENSE": MIT,
            **(files or {f"src/{name}/core.py": module_text(name)}),
        }
        with tarfile.open(path, "w:gz") as archive:
            for file, text in everything.items():
                member = tarfile.TarInfo(f"{stem}/{file}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
            link = tarfile.TarInfo(f"{stem}/link.py")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        return path

    return make
