"""What a cell's run will be: a hit, a miss with its reason, or a run that is not kept at all."""

import builtins
from dataclasses import replace
from typing import Any

from IPython.core.error import UsageError

from nbflow import events as e
from nbflow.context import here
from nbflow.engine.work import next_step
from nbflow.errors import UnkeyableError, UnstorableError
from nbflow.explanation import cause, explained
from nbflow.notebook.freeze import Surroundings
from nbflow.notebook.header import parse
from nbflow.notebook.heap import sharing
from nbflow.notebook.inputs import Inputs, users_names
from nbflow.notebook.restore import CellPickle, Recording
from nbflow.notebook.slot import CellSlot
from nbflow.notebook.stage import shared_digest
from nbflow.notebook.status import Status
from nbflow.notebook.transform import Cell
from nbflow.session import session
from nbflow.spelling import near
from nbflow.step.plan import Plan, plan, reason
from nbflow.step.policy import Policy, policy_of
from nbflow.trace import Fact

__all__ = ["Decision", "of_a_cell"]

_NEVER = (SyntaxError, NameError, AssertionError, MemoryError)
"""Errors that another attempt would not mend."""


_ASKING = frozenset({"input", "getpass"})
"""What people type is not the result of a cell, and may be a password."""

_cells: set[int] = set()
_REMEMBERED = 4096


def of_a_cell(event: e.Began | e.Queued) -> bool:
    """Whether a step is a cell, which has a line of its own."""
    return event.step in _cells


class Decision:
    """What one run of a cell will be. Made before anything runs.

    Args:
        cell: What is to run.
        shell: Where.
        filename: Under which the cell's source is known.

    Attributes:
        options: What the header asks for.
        label: What the cell is called.
        inputs: What is in the key.
        slot: Its place in the store; None if the run is not kept.
        uncached: Why it is not kept, or `""`.
        warnings: What to know of the code that runs.
        recording: What an earlier run left behind, on a hit.
        verdict: Hit or miss.
        why_missed: In words for people, `""` on a hit.

    Raises:
        UsageError: The header cannot be meant.
    """

    def __init__(self, cell: Cell, shell: Any, filename: str) -> None:
        self.cell, self.namespace = cell, shell.user_ns
        self.options = parse(cell.header, self.namespace)
        self._check_names()
        task = self.options.task
        self.label = task.name or cell.label
        policy = policy_of(task)
        self.policy: Policy = replace(
            policy,
            keep="never" if task.persist_result is False else "always",
            give_up_on=(*policy.give_up_on, *_hopeless(policy)),
        )
        self.inputs = Inputs(cell, self.options, self.namespace)
        self.before = users_names(self.namespace)
        self.pickles = CellPickle(cell, filename, self.namespace, self.before)
        self.number = next_step()
        _cells.add(self.number)
        if len(_cells) > _REMEMBERED:
            _cells.remove(min(_cells))
        self.uncached = self._unkept()
        self.slot = None if self.uncached else self._slot()
        self.warnings = self.inputs.edited() if self.slot is not None else []
        self.recording: Recording | None = None
        self.verdict: e.Hit | e.Missed | None = None
        self.why_missed = ""

    def _check_names(self) -> None:
        """Flags that name what is not there."""
        names, options = self.cell.names, self.options
        for name in options.inputs:
            if name not in self.namespace:
                _refuse("--in", name, "is not bound", self.namespace)
        read = names.reads | names.mentions | names.binds | {*options.inputs}
        for name in options.ignore:
            if name not in read and not names.opaque:
                _refuse("--ignore", name, "is not read by the cell", read)

    def _unkept(self) -> str:
        """Why this run is not kept, as far as its text and the settings tell."""
        if self.policy.keep == "never":
            return "--no-cache"
        if not session.caching:
            return "caching is switched off, by NBFLOW_CACHE or nbflow.configure(cache=False)"
        if self.cell.names.opaque and not self.options.inputs and self.options.key is None:
            return f"it uses {', '.join(sorted(self.cell.names.opaque))}; say what it reads by --in"
        if (asks := _ASKING & (self.cell.names.reads | self.cell.names.binds)) and self.options.key is None:
            return f"it asks by {', '.join(sorted(asks))}(); say by --key what the answer stands for"
        return "" if self.cell.body else "there is nothing in it"

    def _slot(self) -> CellSlot | None:
        try:
            key = self.inputs.key()
        except UnkeyableError as error:
            if session.strict:
                raise
            self.uncached = f"{error.what}; leave it out by --ignore, or say by --key what stands for all inputs"
            return None
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - code of the user's classes: the cell runs all the same
            self.uncached = f"its inputs cannot be compared: {reason(error)}; leave out which by --ignore"
            return None
        store = session.store_or_none()
        if store is None:
            self.uncached = "there is no usable store"
            return None
        return CellSlot(store, key, self.label, session.clock, serializer=self.pickles, now=self._now)

    def _now(self, fact: Fact) -> str:
        """The digest of a name's content, or of what the inputs share, as it is now."""
        if fact.kind == "sharing":
            roots = {name: self.before[name] for name in sorted(self.inputs.reached) if name in self.before}
            return shared_digest(sharing(roots))
        digest = self.inputs.now(fact.subject) if fact.subject in self.before else b""
        return digest.hex() if isinstance(digest, bytes) else "unknown"

    def look(self) -> Plan | None:
        """Look the result up: None if there is a fresh one, else the plan of the run."""
        tell, clock = session.bus.tell, session.clock
        tell(e.Began(self.number, clock.time(), self.label, (), here.get().step))
        slot = self.slot
        if slot is None:
            return plan(self.number, self.policy, keyed=False)
        verdict, self.recording = slot.first_look(self.number, self.policy)
        if isinstance(verdict, e.Missed):
            slot.traits = self.inputs.traits()
            why, _ = cause(slot.store, self.label, verdict.why, slot.traits)
            self.why_missed = f"miss: {why}"
            verdict = verdict._replace(why=why, traits=slot.traits)
        self.verdict = verdict
        tell(verdict)
        return None if self.recording is not None else plan(self.number, self.policy, keyed=True)

    def explain(self, status: Status) -> None:
        """Say what would happen, and why; nothing runs."""
        if self.slot is None:
            status.tell("?", f"would run, and not be kept: {self.uncached}")
            return
        self.slot.traits = self.inputs.traits()
        found = explained(self.slot, self.policy)
        status.tell("?", f"would {'hit' if found.hit else 'miss'}: {found.why}", *map(str, found.differences[1:]))

    def ask_store_if(self, values: list[Any]) -> None:
        """Ask the condition of `--store-if`, with the new names and `result`, the last value shown, in scope.

        Raises:
            UnstorableError: It is false, or cannot be asked.
        """
        condition = self.options.store_if
        if condition is None:
            return
        names = {"result": values[-1] if values else None, **self.namespace}
        try:
            fit = bool(eval(condition, names))  # noqa: S307 - the user's own expression
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            raise UnstorableError(f"--store-if {condition}: {reason(error)}") from None
        if not fit:
            raise UnstorableError(f"--store-if {condition} is false")

    def surround(self, around: Surroundings, facts: tuple[Fact, ...]) -> None:
        """What the attempt showed: what need not be stored, and what it depended on."""
        self.pickles.around = around
        if self.slot is not None:
            self.slot.facts = facts

    def mentions(self) -> list[object]:
        """Values that may name files."""
        return self.inputs.strings() if self.slot is not None else []


def _hopeless(policy: Policy) -> list[type[Exception]]:
    """Errors that are not retried in a cell, as another attempt would not mend them, unless `--retry-on` names them."""
    names = [each.rpartition(".")[2] for each in policy.retry_on if isinstance(each, str)]
    named = [found for name in names if isinstance(found := getattr(builtins, name, None), type)]
    return [kind for kind in _NEVER if not any(issubclass(each, kind) for each in named)]


def _refuse(flag: str, name: str, what: str, known: Any) -> None:
    raise UsageError(f"%%task: {flag} {name}: {name!r} {what}{near(name, known)}")
