"""A value in a few characters."""
__all__ = ["short"]
def short(value: object) -> str:
    """At most 40 characters."""
    return repr(value)[:40] if type(value) in (int, float, bool, str, type(None)) else type(value).__name__
