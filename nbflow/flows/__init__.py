"""`@flow`: a function that runs tasks, waits for what it submitted, and ends in a state."""

from nbflow.flows.flow import Flow, flow

__all__ = ["Flow", "flow"]
