"""Facts about distributions: their versions, for those that the user's code imported during a run.

Only imports that the user's own code asks for count: each of them brings a dozen others along, and a hit
should not look up thirty versions. A version is looked up once in a process, from the name of the
`*.dist-info` folder (0.2 ms), without parsing metadata.
"""

import re
import sys
from functools import cache

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


@cache
def distribution(name: str) -> str | None:
    """The version of an installed distribution, None if there is none of that name."""
    from importlib import metadata  # noqa: PLC0415 - 10 ms at start-up, and few runs import anything

    try:
        found = metadata.distribution(name)
        folder = getattr(getattr(found, "_path", None), "name", "")
        told = re.fullmatch(r"[^-]+-([^-]+)\.dist-info", folder)
        return told[1] if told else found.version
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
