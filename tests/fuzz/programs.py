"""Small random notebooks: mutation, aliases, closures, classes, branches, files, errors; and random edits of them."""

import random
import re
from dataclasses import dataclass, replace

__all__ = ["Cell", "Notebook", "edited", "notebook", "session"]


@dataclass(frozen=True)
class Cell:
    """A cell, and whether the cached notebook makes it a task.

    Attributes:
        body: Its statements.
        task: The header that the cached notebook gives it; `""`: it stays a plain cell there too.
    """

    body: tuple[str, ...]
    task: str

    @property
    def plain(self):
        """The cell without caching, its lines at the same numbers."""
        return "\n".join(["#", *self.body])

    @property
    def cached(self):
        """The cell with caching."""
        return "\n".join([self.task or "#", *self.body])


Notebook = tuple[Cell, ...]

HEADERS = ("%%task", "%%task", "%%task", "%%task named", "%%task --output all", "")
NAMES = "abcdefghk"
RARE = 0.04


class Writer:
    """Writes statements that mostly work: it knows what kind of thing each name holds."""

    def __init__(self, rng):
        self.rng = rng
        self.kinds = {}
        self.seeded = rng.random() < 0.2
        self.writers = [getattr(self, name) for name in dir(self) if name.startswith("w_")]

    # Picking.

    def number(self):
        return self.rng.randint(-3, 9)

    def new(self, kind):
        name = self.rng.choice(NAMES)
        self.kinds[name] = kind
        return name

    def some(self, *kinds):
        """A name that holds one of these kinds; None if there is none."""
        fit = [name for name, kind in self.kinds.items() if kind in kinds]
        return self.rng.choice(fit) if fit else None

    def int(self, depth=0):
        """An expression that is a number."""
        name, items = self.some("int"), self.some("list")
        choices = [str(self.number())]
        if name:
            choices += [name, f"{name} + {self.number()}", f"{name} * 2", f"abs({name})", f"({name} % 5)"]
        if items:
            choices += [f"len({items})", f"sum({items}[:2])"]
        if function := self.some("function"):
            choices += [f"{function}({self.int(1) if depth < 1 else 1})"]
        if counter := self.some("counter"):
            choices += [f"{counter}(*())"]  # Python 3.13.0 knows no end of a recursion by calls that defaults fill up
        if thing := self.some("object"):
            choices += [f"{thing}.v", f"{thing}.grow({self.number()})"]
        return self.rng.choice(choices)

    # Statements: each gives lines, or None where it cannot be written now.

    def w_number(self):
        value = self.int()
        return [f"{self.new('int')} = {value}"]

    def w_count(self):
        name = self.some("int")
        return name and [f"{name} {self.rng.choice(['+=', '-=', '*='])} {self.number()}"]

    def w_list(self):
        value = ", ".join(str(self.number()) for _ in range(self.rng.randint(0, 4)))
        return [f"{self.new('list')} = [{value}]"]

    def w_comprehension(self):
        value = f"[i * {self.int()} for i in range({self.rng.randint(1, 4)}) if i != {self.number()}]"
        return [f"{self.new('list')} = {value}"]

    def w_change_list(self):
        name = self.some("list")
        value = self.int()
        ways = [f"{name}.append({value})", f"{name} += [{value}]", f"{name}[:1] = [{value}]", f"{name}.sort()"]
        ways += [f"{name}.reverse()", f"{name}.extend([{value}, {value}])", f"del {name}[:1]"]
        return name and [self.rng.choice(ways)]

    def w_alias(self):
        name = self.some("list", "dict", "object", "array", "nest", "function", "counter", "frame", "set")
        if not name:
            return None
        kind = self.kinds[name]
        return [f"{self.new(kind)} = {name}"]

    def w_nest(self):
        one, other = self.some("list", "dict", "object"), self.some("list", "dict", "nest", "array")
        if not (one and other):
            return None
        shape = self.rng.choice([f"[{one}, {one}]", f"{{'k': {one}, 'm': {other}}}", f"({one}, {other})"])
        return [f"{self.new('nest')} = {shape}"]

    def w_unpack(self):
        one, other = self.some("int"), self.some("list")
        return one and other and [f"{one}, {other} = {self.int()}, [{self.int()}, {self.int()}]"]

    def w_swap(self):
        one, other = self.some("list"), self.some("list")
        return one and other and [f"{one}, {other} = {other}, {one}"]

    def w_dict(self):
        items = self.some("list")
        value = f"{{'x': {self.int()}, 'y': {items or '[]'}}}"
        return [f"{self.new('dict')} = {value}"]

    def w_change_dict(self):
        name = self.some("dict")
        ways = [f"{name}['x'] = {self.int()}", f"{name}.setdefault('z', []).append({self.number()})"]
        ways += [f"{name}.pop('x', None)", f"{name}['self'] = {name}", f"{name}.update(w={self.int()})"]
        return name and [self.rng.choice(ways)]

    def w_set(self):
        return [f"{self.new('set')} = {{{self.int()}, {self.int()}, 'a'}}"]

    def w_change_set(self):
        name = self.some("set")
        return name and [self.rng.choice([f"{name}.add({self.int()})", f"{name} |= {{{self.number()}}}"])]

    def w_delete(self):
        name = self.rng.choice(list(self.kinds)) if self.kinds and self.rng.random() < 0.4 else None
        if name:
            del self.kinds[name]
        return name and [f"del {name}"]

    def w_branch(self):
        test = f"{self.int()} > {self.number()}"
        one, other = self.int(), self.int()
        name = self.new("int")
        return [f"if {test}:", f"    {name} = {one}", "else:", f"    {self.rng.choice(NAMES)} = {other}"]

    def w_loop(self):
        items = self.some("list")
        body = self.int()
        name = self.new("int")
        return [f"for i in range({self.rng.randint(0, 3)}):", f"    {name} = {body} + i"] + (
            [f"    {items}.append(i)"] if items and self.rng.random() < 0.5 else []
        )

    def w_function(self):
        body = self.int(1)
        default = self.some("list") if self.rng.random() < 0.3 else None
        name = self.new("function")
        if default:
            return [f"def {name}(x, base={default}):", "    base.append(x)", f"    return x + {body}"]
        return [f"def {name}(x=1):", f"    return x + {body}"]

    def w_lambda(self):
        body = self.int(1)
        return [f"{self.new('function')} = lambda x=2: x * {body}"]

    def w_global_function(self):
        changed = self.some("int")
        if not changed:
            return None
        name = self.new("function")
        return [f"def {name}(x=1):", f"    global {changed}", f"    {changed} += x", f"    return {changed}"]

    def w_counter(self):
        name = self.new("counter")
        step = self.rng.randint(1, 3)
        lines = ["def make(n):", "    def step():", "        nonlocal n", f"        n += {step}", "        return n"]
        return [*lines, "    return step", f"{name} = make({self.number()})"]

    def w_class(self):
        base = self.some("class") if self.rng.random() < 0.3 else None
        shared = self.some("list")
        name = self.rng.choice("PQR")
        self.kinds[name] = "class"
        return [
            f"class {name}" + (f"({base})" if base and base != name else "") + ":",
            f"    total = {self.number()}",
            "    def __init__(self, v):",
            "        self.v = v",
            f"        self.items = {shared or '[]'}",
            "    def grow(self, n):",
            f"        type(self).total += {self.rng.randint(0, 2)}",
            f"        self.v += n * {self.rng.randint(1, 3)}",
            "        return self.v",
        ]

    def w_object(self):
        kind = self.some("class")
        return kind and [f"{self.new('object')} = {kind}({self.number()})"]

    def w_change_object(self):
        name, kind = self.some("object"), self.some("class")
        ways = [f"{name}.v += {self.number()}", f"{name}.items.append({self.number()})", f"{name}.extra = {self.int()}"]
        ways += [f"{kind}.total = {self.int()}", f"{name}.grow({self.number()})"]
        return name and kind and [self.rng.choice(ways)]

    def w_array(self):
        name = self.new("array")
        return ["import numpy as np", f"{name} = np.arange({self.rng.randint(3, 6)}) * {self.number()}"]

    def w_view(self):
        base = self.some("array")
        return base and [f"{self.new('array')} = {base}[{self.rng.choice(['1:', ':-1', '::2', '::-1'])}]"]

    def w_change_array(self):
        name = self.some("array")
        ways = [f"{name}[0] = {self.number()}", f"{name} *= 2", f"{name} += {self.number()}", f"{name}[:] = {name}[0]"]
        return name and [self.rng.choice(ways)]

    def w_frame(self):
        if self.rng.random() > 0.3:
            return None
        name = self.new("frame")
        return ["import pandas as pd", f"{name} = pd.DataFrame({{'p': [1, {self.number()}], 'q': [{self.int()}, 4]}})"]

    def w_change_frame(self):
        name = self.some("frame")
        ways = [f"{name}['r'] = {name}['p'] * {self.number()}", f"{name}.loc[0, 'p'] = {self.number()}"]
        ways += [f"{name} = {name}.query('p > @{self.some('int') or name}')"] if self.some("int") else []
        return name and [self.rng.choice(ways)]

    def w_print(self):
        return [f"print({self.int()}, {self.some('list') or 0})"]

    def w_random(self):
        return self.seeded and ["import random", f"{self.new('int')} = random.randint(0, 99)"]

    def w_seed(self):
        return self.seeded and ["import random", f"random.seed({self.number()})"]

    def w_write(self):
        mode = "w"
        return [
            f"with open('f{self.rng.randint(0, 1)}.txt', '{mode}') as _file:",
            f"    _file.write(str({self.int()}))",
        ]

    def w_read(self):
        name = self.new("int")
        path = f"f{self.rng.randint(0, 1)}.txt"
        return ["import os", f"{name} = len(open('{path}').read()) if os.path.exists('{path}') else -1"]

    def w_try(self):
        name = self.new("int")
        zero = f"{self.int()} - {self.int()}"
        return ["try:", f"    {name} = 6 // ({zero})", "except ZeroDivisionError as error:", f"    {name} = str(error)"]

    def w_raise(self):
        name = self.some("int")
        return self.rng.random() < RARE and [f"print('before')\nraise ValueError({name or 1})"]

    def w_walrus(self):
        return [f"print(({self.new('int')} := {self.number()}) + 1)"]

    def w_import(self):
        return ["import math", f"{self.new('int')} = math.floor({self.number()}.5)"]

    def w_last(self):
        name = self.some("list", "int", "dict", "array", "set")
        return name and [f"{self.new(self.kinds[name])} = _"] if self.rng.random() < 0.1 else None

    # Cells.

    def statement(self):
        while True:
            if lines := self.rng.choice(self.writers)():
                return "\n".join(lines)

    def cell(self):
        body = [self.statement() for _ in range(self.rng.randint(1, 4))]
        if self.rng.random() < 0.4 and (name := self.some("list", "int", "dict", "set")):
            body.append(name + self.rng.choice(["", "", ";"]))
        return Cell(tuple(body), self.rng.choice(HEADERS))


def notebook(rng: random.Random) -> Notebook:
    """Three to seven cells."""
    writer = Writer(rng)
    cells = [writer.cell() for _ in range(rng.randint(3, 7))]
    if writer.seeded:
        cells[0] = replace(cells[0], body=("import random", f"random.seed({writer.number()})", *cells[0].body))
    return tuple(cells)


def session(rng: random.Random, cells: Notebook) -> Notebook:
    """The cells in the order in which somebody runs them: mostly from top to bottom, some again, some left out.

    One that defines a class is run once: a hit on it keeps the class that is there, so that older instances stay its
    own, where a plain run makes another one.
    """
    order = list(cells)
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        again = rng.choice(cells)
        if not any("class " in each for each in again.body):
            order.insert(rng.randint(0, len(order)), again)
    if rng.random() < 0.2:
        del order[rng.randrange(len(order))]
    return tuple(order)


def edited(rng: random.Random, cells: Notebook) -> Notebook:
    """The notebook with one thing changed: a number, a statement, the order, a header."""
    at = rng.randrange(len(cells))
    cell = cells[at]
    way = rng.choice(["number", "number", "number", "drop", "double", "swap", "comment", "header"])
    if way == "number":
        numbers = list(re.finditer(r"(?<![\w.'])\d+", "\x00".join(cell.body)))
        if numbers:
            found, text = rng.choice(numbers), "\x00".join(cell.body)
            text = text[: found.start()] + str(rng.randint(0, 9)) + text[found.end() :]
            cell = replace(cell, body=tuple(text.split("\x00")))
    elif way == "drop" and len(cell.body) > 1:
        gone = rng.randrange(len(cell.body))
        cell = replace(cell, body=cell.body[:gone] + cell.body[gone + 1 :])
    elif way == "double":
        cell = replace(cell, body=(*cell.body, rng.choice(cell.body)))
    elif way == "swap":
        other = rng.randrange(len(cells))
        changed = list(cells)
        changed[at], changed[other] = changed[other], changed[at]
        return tuple(changed)
    elif way == "comment":
        cell = replace(cell, body=("# a comment", *cell.body))
    elif way == "header":
        cell = replace(cell, task=rng.choice(HEADERS))
    return (*cells[:at], cell, *cells[at + 1 :])
