"""The store: results on disk, sealed, bounded, shared by all processes of a user."""

from nbflow.store.location import locate, open_store
from nbflow.store.row import Draft, Found, Info
from nbflow.store.serializers import Serializer, serializer_of
from nbflow.store.store import Store
from nbflow.store.upkeep import Stats, Verified

__all__ = [
    "Draft",
    "Found",
    "Info",
    "Serializer",
    "Stats",
    "Store",
    "Verified",
    "locate",
    "open_store",
    "serializer_of",
]
