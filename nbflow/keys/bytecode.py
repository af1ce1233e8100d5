"""What code without source reads: the same as `reads` finds in an AST, as far as instructions show it."""

import dis
from types import CodeType

from nbflow.keys.canon import READERS, words
from nbflow.keys.reads import UPDATES, Chain, Reads, looks_like_path
from nbflow.keys.scopes import Import
from nbflow.keys.source import nested

__all__ = ["code_reads"]

READ = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"})
ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


def code_reads(root: CodeType) -> Reads:
    """Reads of a code object and all those inside of it."""
    chains: set[Chain] = set()
    effects: set[Chain] = set()
    imports: set[Import] = set()
    strings: set[str] = set()
    named: set[str] = set()
    inner = {name for code in nested(root) for name in code.co_cellvars}
    for code in nested(root):
        steps = [*dis.get_instructions(code)]
        named.update(code.co_names)
        strings.update(const for const in code.co_consts if isinstance(const, str))
        for at, step in enumerate(steps):
            if step.opname == "IMPORT_NAME":
                imports.add(Import(step.argval, 0, None))
            if step.opname not in READ or step.argval in inner:
                continue
            chain = (step.argval, *attributes(steps, at + 1))
            (effects if updates(steps, at) else chains).add(chain)
    mentions = {word for text in strings for word in words(text)} if named & READERS else set()
    roots = {chain[0] for chain in chains} | mentions
    read = {chain for chain in effects if chain[0] in roots}
    roots = {chain[0] for chain in chains | read}
    return Reads(
        tuple(sorted(chains | read)),
        (),
        tuple(sorted(imports, key=repr)),
        tuple(sorted(mentions - roots)),
        tuple(sorted(effects - read)),
        not roots.isdisjoint({"globals", "eval", "exec"}),
        tuple(sorted(filter(looks_like_path, strings))),
    )


def attributes(steps: list[dis.Instruction], at: int) -> Chain:
    """The attributes that are read one from another, from here on."""
    found: list[str] = []
    while at < len(steps) and steps[at].opname in ATTRIBUTE:
        found.append(steps[at].argval)
        at += 1
    return tuple(found)


def updates(steps: list[dis.Instruction], at: int) -> bool:
    """Whether the value loaded here is only updated: by a method whose result is dropped, or by a store."""
    name = steps[at].argval
    height = effect(steps[at])  # of the stack above where it was before the load
    method = False
    for i in range(at + 1, len(steps)):
        step = steps[i]
        if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
            return False
        after = height + effect(step)
        if step.opname in ("STORE_SUBSCR", "STORE_ATTR") and after < 0:
            return not method and height == (2 if step.opname == "STORE_SUBSCR" else 1)
        if i == at + 1 and step.opname in ATTRIBUTE and step.argval in UPDATES:
            method = True
        elif method and step.opname == "CALL" and after == 1:
            return steps[i + 1].opname == "POP_TOP"
        elif step.opname == "BINARY_OP" and after == 1 and not method:
            return step.argrepr.endswith("=") and steps[i + 1][0:4:3] == ("STORE_GLOBAL", name)
        elif after < 1:
            return False
        height = after
    return False


def effect(step: dis.Instruction) -> int:
    return dis.stack_effect(step.opcode, step.arg if step.opcode >= dis.HAVE_ARGUMENT else None, jump=False)
