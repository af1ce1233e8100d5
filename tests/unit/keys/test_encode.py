"""The encoder: its walk, its messages, what users may teach it, bulk bytes, and what it leaves alone."""

import collections
import datetime as dt
import logging
import os
import subprocess
import sys
import threading
import tracemalloc
from typing import Any

import pytest

from nbflow.errors import UnkeyableError
from nbflow.keys import digest, register_digest
from nbflow.keys.bulk import Stream, bulk
from nbflow.keys.encode import Encoder, Node, canonical, content, join, register

MIB = 1 << 20


class Box:
    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


def message(value: Any, name: str = "value") -> str:
    with pytest.raises(UnkeyableError) as caught:
        content(value, name)
    return str(caught.value)


class TestPath:
    @pytest.mark.parametrize(
        ("value", "path"),
        [
            ({"db": Box(lock=threading.Lock())}, 'config["db"].lock'),
            ([1, (2, {3: threading.Lock()})], "config[1][1][3]"),
            ({"a": collections.deque([1, threading.Lock()])}, 'config["a"][1]'),
            ({"x" * 100: threading.Lock()}, "config[…]"),
            ({"a\nb": threading.Lock()}, "config[…]"),
            ([0] * 5000 + [iter(())], "config[5000]"),
            (Box(inner=Box(rows=[Box(), Box(f=open(os.devnull, "rb"))])), "config.inner.rows[1].f"),
            (threading.Lock(), "config"),
        ],
    )
    def test_names_the_way_to_the_member(self, value: Any, path: str) -> None:
        """Somebody would search a large config by hand for the one member that stops caching."""
        assert message(value, "config").startswith(path + " has no content to make a key of")

    def test_says_type_and_cures_in_one_line(self) -> None:
        """The message is printed as a warning below a cell: it must fit, and say what to do."""
        text = message([threading.Lock()])
        assert "_thread.lock" in text
        assert all(cure in text for cure in ("pass its data", "ignore=", "cache_key_fn=", "register_digest"))
        assert "\n" not in text

    def test_a_long_way_is_cut_in_the_middle(self) -> None:
        """A lock deep in a tree would print a warning of many pages."""
        value: Any = {"leaf": threading.Lock()}
        for _ in range(2000):
            value = [value]
        text = message(value)
        assert text.startswith("value[0][0]")
        assert "…" in text
        assert '[0]["leaf"] has no content' in text
        assert len(text) < 300

    def test_arguments_go_by_their_names(self) -> None:
        """With several arguments nobody would know which one is meant."""
        with pytest.raises(UnkeyableError, match=r"^model\.lock "):
            canonical((1, Box(lock=threading.Lock())), ("data", "model"))


class TestHandles:
    def test_count_by_type_as_input(self) -> None:
        """A step that takes a connection or a logger could never be cached."""
        one, two = logging.getLogger("one"), logging.getLogger("two")
        assert canonical((one, 1)) == canonical((two, 1))
        assert canonical(({"log": one},)) == canonical(({"log": two},))
        assert canonical((one,)) != canonical((logging.NullHandler(),))

    def test_have_no_digest_of_their_own(self) -> None:
        """`digest(connection)` would promise a content that it does not have."""
        assert "live handle" in message(logging.getLogger("x"))


class TestTaught:
    def test_own_digest_comes_first(self) -> None:
        """A class that knows best what counts of it would be taken apart, its lock refused."""

        class Model:
            def __init__(self, path: str) -> None:
                self.path, self.lock = path, threading.Lock()

            def __nbflow_digest__(self) -> object:
                return {"path": self.path, "tags": {"a", "b"}}

        assert digest([Model("a")]) == digest([Model("a")]) != digest([Model("b")])

    def test_registered_function_for_a_class_and_those_derived_from_it(self) -> None:
        """A class of a library could not be cured at all."""

        class Handle:
            def __init__(self, name: str) -> None:
                self.name, self.lock = name, threading.Lock()

        class Special(Handle):
            pass

        register_digest(Handle, lambda handle: handle.name)
        assert digest(Special("a")) == digest(Special("a")) != digest(Special("b"))
        assert digest(Special("a")) != digest(Handle("a"))

    def test_own_digest_that_gives_something_without_content(self) -> None:
        """A digest of an address would be served as if it were one of content."""
        register_digest(Box, lambda box: box.of)
        try:
            assert "bare object" in message(Box(of=object()))
            itself = Box()
            itself.of = itself
            assert "gives it back" in message(itself)
        finally:
            from nbflow.keys import registry

            registry._custom.pop(Box)
            registry._found.clear()

    def test_an_instance_cannot_pretend_to_have_one(self) -> None:
        """An object that answers every attribute, as proxies and mocks do, would be keyed by nothing."""

        class Anything:
            def __getattr__(self, name: str) -> Any:
                return lambda: 1

        assert digest(Anything()) != digest(1)

    def test_encoder_that_calls_back(self) -> None:
        """A circle through an encoder of another module would end in a RecursionError."""

        class Cell:
            def __init__(self, member: Any) -> None:
                self.member = member

        register(Cell, lambda encoder, cell: join(b"test cell", [encoder.of(cell.member)]))

        def circle(mark: int) -> list[Any]:
            found: list[Any] = [mark]
            found.append(Cell([found, 2]))
            return found

        assert digest(circle(1)) == digest(circle(1)) != digest(circle(2))
        cell = Cell(None)
        cell.member = {"me": cell}
        assert digest([cell, cell]) == digest([cell, cell])
        assert digest([Cell([1])] * 2) == digest([Cell([1]), Cell([1])])

    def test_encoder_that_fails(self) -> None:
        """An error of a library's internals would end the cell instead of leaving it uncached."""

        class Odd:
            pass

        register(Odd, lambda _, value: value.missing)
        assert "AttributeError" in message(Odd())

    def test_a_class_that_holds_its_instances(self) -> None:
        """Enumerations and registries refer to themselves: their identity must end somewhere."""

        class Kind:
            pass

        Kind.default = Kind()
        assert digest(Kind.default) == digest(Kind.default)


class TestDepth:
    def test_a_long_chain(self) -> None:
        """A linked list of 100,000 would overflow the stack, and end the kernel."""
        chain: Any = None
        for number in range(20_000):
            chain = [number, chain]
        assert len(content(chain)) == 16

    def test_objects_that_recurse_when_taken_apart(self) -> None:
        """A `__reduce__` that recurses would end the cell with a RecursionError."""

        class Deep:
            def __reduce__(self) -> Any:
                return self.__reduce__()

        assert "Deep" in message(Deep())

    def test_recursion_limit_is_left_alone(self) -> None:
        """A raised limit lets C code overflow the stack of the whole process."""
        before = sys.getrecursionlimit()
        content([[[[1]]]])
        assert sys.getrecursionlimit() == before


class TestBulk:
    DATA = bytes(range(256)) * (80 * 1024 * 4)  # 80 MiB: five chunks

    def test_pieces_do_not_count(self) -> None:
        """A strided array would differ from its contiguous copy."""
        whole = bulk(self.DATA)
        for sizes in ((1, 17 * MIB, 3, 80 * MIB), (16 * MIB, 80 * MIB), (5 * MIB,) * 17):
            stream, at = Stream(), 0
            for size in sizes:
                stream.update(self.DATA[at : at + size])
                at += size
            stream.update(self.DATA[at:])
            assert stream.digest() == whole

    def test_threads_do_not_count(self) -> None:
        """The same array would have another key on a machine with other cores."""
        code = (
            "import os; hasattr(os, 'sched_setaffinity') and os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
            "from nbflow.keys.bulk import bulk; print(bulk(bytes(range(256)) * (80 * 1024 * 4)).hex())"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout.strip() == bulk(self.DATA).hex()

    def test_one_byte_counts(self) -> None:
        """A single changed byte deep in a large buffer would be served the old result."""
        changed = bytearray(self.DATA)
        changed[50 * MIB] ^= 1
        assert bulk(changed) != bulk(self.DATA)
        assert bulk(b"") != bulk(b"\0") != bulk(b"\0\0")

    def test_large_values_are_not_copied(self) -> None:
        """Keying an array that fills half of the memory would end the kernel."""
        numpy = pytest.importorskip("numpy")
        array = numpy.zeros((4096, 4096))
        frame = pytest.importorskip("pandas").DataFrame(array.reshape(-1, 64))
        data = bytes(100 * MIB)
        for value in (array, array.T, array[:, ::2], frame, data, {"data": data}, [bytearray(data)]):
            canonical((value,))
            tracemalloc.start()
            canonical((value,))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 3 * MIB


class TestForms:
    def test_short_arguments_stay_readable_bytes(self) -> None:
        """A hit with small arguments would pay for a digest that says no more."""
        assert canonical(("abc", 3)) == b"=(\x02\x00\x00\x00u\x03\x00\x00\x00abci\x03\x00\x00\x00"

    def test_self_delimiting(self) -> None:
        """f(1, (2,)) would be served the result of f(1, 2)."""
        calls = [(1, 2), (1, (2,)), ((1, 2),), (1, 2, ()), ((1,), 2), ("1", 2), ([1, 2],), ({1: 2},)]
        assert len({canonical(call) for call in calls}) == len(calls)

    def test_a_value_and_a_node_like_it(self) -> None:
        """A container would collide with the parts of another kind of value."""
        assert len({digest(value) for value in ([b"a"], (b"a",), {b"a"}, {b"a": b"a"}, [[b"a"]], b"a")}) == 6

    def test_long_containers(self) -> None:
        """A list of a million would be keyed by its first members only."""
        numbers = list(range(300_000))
        changed = [*numbers[:-1], -1]
        assert canonical((numbers,)) != canonical((changed,))
        assert canonical((dict.fromkeys(numbers),)) != canonical((dict.fromkeys(changed),))
        assert canonical((set(numbers),)) != canonical((set(changed),))
        assert canonical(([*numbers, float("nan")],)) == canonical(([*numbers, -float("nan")],))


def test_imports_no_library() -> None:
    """`import nbflow` would take as long as pandas."""
    code = (
        "import sys; from nbflow.keys import digest; digest([{1: 'a'}, {2}, print, 1j]);"
        "print(sorted({'numpy', 'pandas', 'torch', 'polars', 'asyncio', 'threading', 'concurrent'} & {*sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_scalar_is_not_its_encoding() -> None:
    """An encoder's tuple for a date would collide with the tuple itself."""
    date = dt.date(2026, 1, 2)
    assert digest([date]) != digest([("date", (2026, 1, 2))]) != digest([[("date", (2026, 1, 2))]])


def test_node_as_a_member() -> None:
    """Encoders build parts of values from nodes: they must stay apart from lists of the same members."""
    assert Encoder().of(Node(b"x", [1])) != Encoder().of(Node(b"y", [1])) != Encoder().of([1])
