"""Records what a cell shows while it is being shown.

Methods are replaced on the *instances* that are there (`sys.stdout.write`, the publisher, the display
hook) and given back. So a logging handler made earlier is heard, one made inside keeps the real stream,
and nothing of ours stays in `sys`. IPython's own tee patches `write` the same way.
"""

import html
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

try:
    import fcntl
    import termios
except ImportError:  # pragma: no cover - Windows, where kernels do not watch file descriptors
    fcntl = termios = None  # type: ignore[assignment]

__all__ = ["Event", "Tee", "fold"]

Event = tuple[Any, ...]
"""`("stream", "stdout", text)`, `("display" | "update", id, data, metadata)`, `("result", data, metadata)`,
`("clear", wait)`: plain values, ready to be pickled."""

_WIDGET = "application/vnd.jupyter.widget-view+json"
_TEXT_LIMIT = 8 << 20  # characters of a cell's printed text that are kept
_RICH_LIMIT = 64 << 20  # bytes of images and other rich output that are kept
_MISSING = object()


class Tee:
    """A context around the user's code; entered again, it goes on with the same record.

    Text beyond 8 million characters is shown and not recorded, nor is rich output beyond 64 MiB. Other threads are
    heard too.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.events: list[Event] = []
        self.streams = sys.stdout, sys.stderr
        self._views: list[tuple[Event, Any]] = []
        self._undo: list[tuple[Any, str, Any, Any]] = []
        self._hush = 0
        self._open = False
        self._room, self._rich_room = _TEXT_LIMIT, _RICH_LIMIT

    def __enter__(self) -> Self:
        if self._open:
            return self
        self._open = True
        publisher, hook = self.shell.display_pub, self.shell.displayhook
        for name, stream in zip(("stdout", "stderr"), self.streams, strict=True):
            self._patch(stream, "write", lambda text, *_, name=name: self._text(name, text))
        self._patch(publisher, "publish", self._published, hush=True)
        self._patch(publisher, "clear_output", lambda wait=False: self._note("clear", wait), hush=True)
        self._patch(hook, "compute_format_data", after=lambda answer: self._note("result", *self._bounded(*answer)))
        if not hasattr(hook, "pub_socket"):  # a terminal prints its `Out`
            self._patch(hook, "write_output_prompt", hush=True)
            self._patch(hook, "write_format_data", hush=True)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._open:
            return
        self._drain()
        self._settle()
        self._open = False
        for owner, name, wrapper, before in reversed(self._undo):
            if vars(owner).get(name) is not wrapper:
                continue  # someone patched over it and has not left: from now on ours only passes on
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._undo.clear()

    def _patch(
        self,
        owner: Any,
        name: str,
        note: Callable[..., object] | None = None,
        after: Callable[[Any], object] | None = None,
        *,
        hush: bool = False,
    ) -> None:
        if not hasattr(owner, "__dict__"):
            return  # somebody's own stream, which takes no attributes: shown, not recorded
        original, cell = getattr(owner, name), getattr(owner, "parent_header", None)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            mine = self._open and not self._hush and getattr(owner, "parent_header", None) == cell
            if mine and note:
                note(*args, **kwargs)
            self._hush += hush  # what is printed to show it is not heard a second time
            try:
                answer = original(*args, **kwargs)
            finally:
                self._hush -= hush
            if mine and after:
                after(answer)
            return answer

        self._undo.append((owner, name, wrapper, vars(owner).get(name, _MISSING)))
        setattr(owner, name, wrapper)

    def _drain(self) -> None:
        """What C code and child processes print takes a pipe and a thread of the kernel: wait until it is through."""
        if "ctypes" in sys.modules and hasattr(self.streams[0], "watch_fd_thread"):
            with suppress(Exception):  # C's own buffer is flushed, where there is one to be found
                sys.modules["ctypes"].CDLL(None).fflush(None)
        for number, stream in enumerate(self.streams, 1):
            if hasattr(stream, "watch_fd_thread") and fcntl is not None:
                for _ in range(500):
                    time.sleep(0.001)
                    if not any(fcntl.ioctl(number, termios.FIONREAD, bytes(4))):
                        break

    def _settle(self) -> None:
        """A view's text is what its widget has come to, such as a bar at its end; one that was closed shows nothing."""
        widgets: dict[Any, Any] = getattr(sys.modules.get("ipywidgets.widgets.widget"), "_instances", {})
        for event, model in self._views:
            if model not in widgets:
                self.events = [each for each in self.events if each is not event]
                continue
            with suppress(Exception):  # the user's own class
                event[2]["text/plain"] = _shown_by(widgets[model])

    def _note(self, *event: Any) -> None:
        self.events.append(event)

    def _text(self, name: str, text: object) -> None:
        if not isinstance(text, str) or self._room <= 0:
            return  # the real stream says what is wrong with it
        self._room -= len(text)
        if self._room <= 0:
            text = f"{text[: self._room or None]}\n[nbflow: what was printed from here on is not kept]\n"
        self._note("stream", name, text)

    def _bounded(self, data: dict[str, Any], metadata: Any) -> tuple[dict[str, Any], Any]:
        """What is kept of an output: all of it, or a note that it was too much."""
        size = sum(len(each) for each in data.values() if isinstance(each, str | bytes))
        if size <= self._rich_room:
            self._rich_room -= size
            return data, metadata
        return {"text/plain": f"[nbflow: an output of {size / 1e6:,.0f} MB was shown, and is not kept]"}, {}

    def _published(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *_: object,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **__: object,
    ) -> None:
        view = data.get(_WIDGET)
        data = {kind: value for kind, value in data.items() if kind != _WIDGET}
        bounded = self._bounded(data, metadata)
        self._note("update" if update else "display", (transient or {}).get("display_id"), *bounded)
        if isinstance(view, dict) and not update:
            self._views.append((self.events[-1], view.get("model_id")))


def fold(events: list[Event]) -> list[Event]:
    r"""What is left to see at the end: streams joined, updates applied, cleared output gone.

    >>> fold([("stream", "stdout", "1%\r"), ("stream", "stdout", "100%\n")])
    [('stream', 'stdout', '100%\n')]
    """
    shown: list[list[Any]] = []
    clear = False
    for kind, first, *rest in events:
        if kind == "clear" and first:  # wait=True: gone when the next thing comes
            clear = True
            continue
        if kind == "clear" or clear:
            shown, clear = [], False
        if kind == "update":  # one of another cell's output is not ours to show
            shown = [["display", first, *rest] if each[:2] == ["display", first] else each for each in shown]
        elif kind == "stream" and shown and shown[-1][:2] == [kind, first]:
            shown[-1] += rest
        elif kind != "clear":
            shown.append([kind, first, *rest])
    return [
        ("stream", each[1], _last_lines("".join(each[2:]))) if each[0] == "stream" else tuple(each) for each in shown
    ]


def _last_lines(text: str) -> str:
    lines = text.split("\n")
    ends = ["\r" if line.endswith("\r") and line.strip("\r") else "" for line in lines[:-1]]  # a terminal's end of line
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] + end for line, end in zip(lines, [*ends, ""], strict=True))


def _shown_by(widget: Any) -> str:
    """A widget as text; where it tells by something that is gone, as tqdm's bar is once it is collected, its parts'."""
    try:
        return repr(widget)
    except ReferenceError:
        parts = [getattr(each, "value", "") for each in widget.children]
        return " ".join(html.unescape(" ".join(each for each in parts if isinstance(each, str))).split())
