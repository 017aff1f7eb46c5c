"""What belongs to the project, for the tests about the project."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "realtime_nb"
NOT_OURS = {"node_modules", "static", "dist", "build", "test-results", "__pycache__"}


def project_files() -> list[Path]:
    """Return the files that git tracks or would add, or in an unpacked source distribution all that are not litter."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        return [ROOT / name for name in sorted(names) if (ROOT / name).is_file()]
    return [
        path
        for path in sorted(ROOT.rglob("*"))
        if path.is_file()
        and NOT_OURS.isdisjoint(parts := path.relative_to(ROOT).parts)
        and not parts[0].startswith((".venv", "."))
    ]


def python_modules() -> list[Path]:
    """Return the package's modules."""
    return [path for path in project_files() if path.suffix == ".py" and PACKAGE in path.parents]


def name_of(path: Path) -> str:
    """Return a path as it reads from the root; also used as test id."""
    return path.relative_to(ROOT).as_posix()
