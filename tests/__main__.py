"""All checks, one after the other, up to the first that fails: `python -m tests`. Further words go to pytest."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sys.executable).parent
CHECKS = [
    [sys.executable, "-m", "ruff", "check", "."],
    [sys.executable, "-m", "ruff", "format", "--check", "."],
    [sys.executable, "-m", "mypy"],
    [str(SCRIPTS / "lint-imports")],
    [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "loadgroup", "--durations", "15", *sys.argv[1:]],
]


def main() -> int:
    """Run the checks; the exit code of the first that fails, or 0."""
    for check in CHECKS:
        print(f"$ {' '.join([Path(check[0]).name, *check[1:]])}", flush=True)
        code = subprocess.run(check, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
