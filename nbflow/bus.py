"""How events reach the panel, the logs and whoever else listens."""

from collections.abc import Callable
from threading import Lock

from nbflow.events import Event

__all__ = ["Bus", "Sink"]

Sink = Callable[[Event], object]


class Bus:
    """Hands each event to every sink, in the thread where it happened.

    A sink that raises is dropped with one warning: a panel can never break a step.
    """

    def __init__(self, *sinks: Sink, warn: Callable[[str], object] = print) -> None:
        self.sinks: tuple[Sink, ...] = sinks
        self.warn = warn
        self._changing = Lock()

    def tell(self, event: Event) -> None:
        """Hand on one event."""
        for sink in self.sinks:
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001 - whatever a sink does, the step goes on
                self.leave(sink)
                name = getattr(sink, "__qualname__", type(sink).__name__)
                self.warn(
                    f"{name} raised {type(error).__name__}: {error}; it hears of no more steps until it joins again"
                )

    def join(self, sink: Sink) -> None:
        """Let a sink hear all events from now on; a second time changes nothing."""
        with self._changing:
            if sink not in self.sinks:
                self.sinks = (*self.sinks, sink)

    def leave(self, sink: Sink) -> None:
        """Tell a sink nothing any more."""
        with self._changing:
            self.sinks = tuple(other for other in self.sinks if other != sink)
