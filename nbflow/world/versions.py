"""Facts about distributions: their versions, for those that the user's code imported during a run.

Only imports that the user's own code asks for count: each of them brings a dozen others along, and a hit
should not look up thirty versions. A version is told by the name of the `*.dist-info` folder (0.2 ms), without
parsing metadata, and looked up again when that folder is gone: a kernel outlives `%pip install`. Of a module that
is imported, what is in memory counts.
"""

import os
import re
import sys

from nbflow.trace import Fact

__all__ = ["broken", "distribution", "fact", "provider"]

# Import names of well-known distributions that are called something else.
_ALIASES = {
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "jwt": "PyJWT",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "yaml": "PyYAML",
}
_MODULES = {distribution: module for module, distribution in _ALIASES.items()}

_known: dict[str, tuple[str, str]] = {}  # versions, and the folders that tell them


def distribution(name: str) -> str | None:
    """The version of an installed distribution, None if there is none of that name."""
    known = _known.get(name)
    if known is None or not (_MODULES.get(name, name) in sys.modules or os.access(known[1], os.F_OK)):
        known = _look(name)
        if known is None:
            return None
        _known[name] = known
    return known[0]


def _look(name: str) -> tuple[str, str] | None:
    from importlib import metadata  # noqa: PLC0415 - 10 ms at start-up, and few runs import anything

    try:
        found = metadata.distribution(name)
        folder = str(getattr(found, "_path", ""))
        told = re.fullmatch(r"[^-]+-([^-]+)\.dist-info", os.path.basename(folder))  # noqa: PTH119 - as `_path` may be of any sort
        return told[1] if told else found.version, folder
    except Exception:  # noqa: BLE001 - damaged metadata, of whatever sort, is no version
        return None


def provider(module: str) -> str | None:
    """The distribution that a top-level module came from, None for the standard library and the user's own."""
    if module in sys.stdlib_module_names:
        return None
    name = _ALIASES.get(module, module)
    return name if distribution(name) is not None else None


def fact(module: str) -> Fact | None:
    """The version behind a top-level module, None if no distribution is known for it."""
    name = provider(module)
    version = None if name is None else distribution(name)
    return None if name is None or version is None else Fact("distribution", name, version.encode().hex(), version)


def broken(known: Fact) -> str | None:
    """Why a distribution is no longer what it was, None if it is."""
    version = distribution(known.subject)
    if version is not None and version == known.hint:
        return None
    return f"{known.subject} is gone" if version is None else f"{known.subject} {known.hint} → {version}"
