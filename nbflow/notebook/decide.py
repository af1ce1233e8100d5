"""What a cell's run will be: a hit, a miss with its reason, or a run that is not kept at all."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from IPython.core.error import UsageError

from nbflow import events as e
from nbflow.errors import StoreError, UnkeyableError
from nbflow.explanation import cause, explained
from nbflow.logs import current_step, warn
from nbflow.notebook.freeze import Surroundings
from nbflow.notebook.header import CellOptions, parse
from nbflow.notebook.inputs import Known, cautious, inputs_of, known_of
from nbflow.notebook.restore import CellPickle, Recording
from nbflow.notebook.slot import CellSlot
from nbflow.notebook.stage import shared_digest, users_names
from nbflow.notebook.transform import Cell
from nbflow.session import session
from nbflow.step.commands import Load, Seen
from nbflow.step.plan import Plan, judge, plan, reason
from nbflow.step.policy import Policy, policy_of
from nbflow.trace import Fact
from nbflow.work import next_step

__all__ = ["Decision", "decide"]

_NEVER = (SyntaxError, NameError, AssertionError, MemoryError)
"""Errors that another attempt would not mend."""
