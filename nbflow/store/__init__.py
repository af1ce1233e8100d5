"""The store: results on disk, sealed, bounded, shared by all processes of a user."""

from nbflow.store.bundle import Exported, Imported
from nbflow.store.container import Verify
from nbflow.store.counts import Owner, Stats, TaskStats
from nbflow.store.location import IN_PROJECT, elsewhere, locate, open_store, project_settings, storage_of, verify_of
from nbflow.store.row import Draft, Found, Info
from nbflow.store.serializers import Serializer, serializer_of
from nbflow.store.sizes import size_of
from nbflow.store.store import Store
from nbflow.store.trusted import trusted_keys
from nbflow.store.upkeep import Leftovers, Verified

__all__ = [
    "IN_PROJECT",
    "Draft",
    "Exported",
    "Found",
    "Imported",
    "Info",
    "Leftovers",
    "Owner",
    "Serializer",
    "Stats",
    "Store",
    "TaskStats",
    "Verified",
    "Verify",
    "elsewhere",
    "locate",
    "open_store",
    "project_settings",
    "serializer_of",
    "size_of",
    "storage_of",
    "trusted_keys",
    "verify_of",
]
