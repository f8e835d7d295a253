"""Puts what the VS Code extension installs its server from into editors/vscode/server: wheel, constraints, bundle.json.

usage: python bundle_server.py [--offline]

The wheel is built from a copy of the files of this checkout, since setuptools would leave build/ behind, and take in
what an earlier build/ left there; and only when one of them changed: the digest names the content, so an extension that
changed only itself installs no server anew. --offline adds the wheels of everything that the server needs, for this
platform and the Python that runs this. Standard library only. Left out: packaging the extension (build-extension.sh).
"""

import argparse
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "editors" / "vscode" / "server"
CONSTRAINTS = ROOT / "ci" / "constraints.txt"
# What the wheel is made of (pyproject.toml says what goes in).
FILES = {"pyproject.toml", "README.md", "LICENSE", "NOTICE", "seedling_lsp.py"}
FOLDERS = ("lsp_server/", "model/", "kernels/", "editors/neovim/")
# PyTorch's own index of builds without CUDA, which are several GB smaller.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NODE_SYSTEMS = {"Windows": "win32", "Darwin": "darwin", "Linux": "linux"}
NODE_MACHINES = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64", "ARM64": "arm64"}


def files() -> list[Path]:
    """The files of the wheel: those that git knows, or all where this is no git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.split("\0")
    else:
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if "__pycache__" not in path.parts]
    parts = {name for name in names if name in FILES or name.startswith(FOLDERS)}
    return sorted(Path(name) for name in parts if (ROOT / name).is_file())


def digest_of(paths: list[Path]) -> str:
    """16 digits that name the content."""
    digest = hashlib.sha256(CONSTRAINTS.read_bytes())
    for path in paths:
        digest.update(f"\0{path.as_posix()}\0".encode() + hashlib.sha256((ROOT / path).read_bytes()).digest())
    return digest.hexdigest()[:16]


def pip(*arguments: str, must: bool = True) -> None:
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", *arguments]
    done = subprocess.run(words, check=False, stdout=sys.stderr, stderr=None if must else subprocess.DEVNULL)
    if must and done.returncode != 0:
        sys.exit("bundle_server.py: pip could not build or fetch a wheel; its message is above.")


def build_wheel(paths: list[Path]) -> None:
    with tempfile.TemporaryDirectory() as copy:
        for path in paths:
            (Path(copy) / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, Path(copy) / path)
        pip("--no-deps", "--wheel-dir", str(SERVER), copy)


def fetch_dependencies(wheel: Path, folder: Path) -> None:
    """The wheels of all that the server needs; torch without CUDA where PyTorch's own index answers within seconds."""
    torch = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch=="))
    into = ("--wheel-dir", str(folder))
    if platform.system() == "Linux":
        pip("--no-deps", "--retries", "0", "--timeout", "5", "--index-url", CPU_INDEX, *into, torch, must=False)
    pip("--find-links", str(folder), "--constraint", str(CONSTRAINTS), *into, f"{wheel}[engine]")
    (folder / wheel.name).unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline", action="store_true", help="carry the wheels of all dependencies too")
    offline = parser.parse_args().offline

    paths = files()
    digest, stamp = digest_of(paths), SERVER / "digest"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(SERVER, ignore_errors=True)
        build_wheel(paths)
        shutil.copyfile(CONSTRAINTS, SERVER / "constraints.txt")
        stamp.write_text(digest)
    wheel = next(SERVER.glob("seedling_lsp-*.whl"))
    bundle = {"digest": digest, "version": wheel.name.split("-")[1], "wheel": wheel.name, "offline": None}
    shutil.rmtree(SERVER / "wheels", ignore_errors=True)
    if offline:
        fetch_dependencies(wheel, SERVER / "wheels")
        machine = NODE_MACHINES.get(platform.machine(), platform.machine())
        target = f"{NODE_SYSTEMS.get(platform.system(), sys.platform)}-{machine}"
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        bundle |= {"digest": f"{digest}-offline", "offline": {"python": python, "platform": target}}
        print(target)
    (SERVER / "bundle.json").write_text(json.dumps(bundle, indent=1) + "\n")


if __name__ == "__main__":
    main()
