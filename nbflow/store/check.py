"""Is an entry whole? Asked by whoever goes through all of them; nothing is unpickled for it."""

from nbflow.errors import DamagedError
from nbflow.store.container import Blob, read
from nbflow.store.row import BIG, Found
from nbflow.store.vault import Vault

__all__ = ["damage"]


def damage(vault: Vault, entry: Found, file: str = "") -> str:
    """What is wrong with the container of an entry whose seal holds; `""` if nothing is, or if it has none.

    Args:
        vault: Where it is.
        entry: The entry.
        file: The container, below the folder of containers, while it does not have its name yet.
    """
    if not entry.flags & BIG:
        return ""
    blob = Blob.unpack(entry.payload)
    try:
        read(vault.blobs.folder, blob._replace(name=file or blob.name), "full", mapped=not vault.shared)
    except FileNotFoundError:
        return "its file is gone"
    except (DamagedError, OSError) as error:
        return str(error)
    return ""
