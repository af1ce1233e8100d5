"""`nbflow completion SHELL`: what makes a shell complete our commands, and what it then asks.

A shell asks `nbflow completion SHELL -- WORD...`: what may the last word become? The answer is made of the table of
commands and of what the store holds, so that it never falls behind. Each line is a word, and what it means where the
shell shows that; a single line `files` leaves it to the shell to offer files.
"""

import shlex
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from nbflow.cli.commands import COMMANDS, Arg
from nbflow.errors import ConfigurationError, NbflowError
from nbflow.spelling import near

__all__ = ["completion"]

_MOST: Final = 1000
_LEFT: Final = [("files", "")]
"""Left to the shell."""
_FILES: Final = frozenset({"NOTEBOOK", "FILE", "KEYFILE", "OUT"})

_BASH: Final = r"""# nbflow: put  eval "$(nbflow completion bash)"  into ~/.bashrc
_nbflow() {
    local word=${COMP_WORDS[COMP_CWORD]} line
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == files ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
            return
        fi
        [[ $word == [\'\"]* ]] || printf -v line %q "$line"
        COMPREPLY+=("$line")
    done < <(nbflow completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _nbflow nbflow"""

_ZSH: Final = r"""#compdef nbflow
# nbflow: put  eval "$(nbflow completion zsh)"  into ~/.zshrc, behind compinit
_nbflow() {
    local -a found
    found=("${(@f)$(nbflow completion zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ $found[1] == files ]]; then
        _files
    elif [[ -n $found[1] ]]; then
        _describe nbflow found
    fi
}
compdef _nbflow nbflow"""

_FISH: Final = r"""# nbflow: put  nbflow completion fish | source  into ~/.config/fish/config.fish
function __nbflow_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (nbflow completion fish -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c nbflow -f -a '(__nbflow_complete)'"""


class _Shell(NamedTuple):
    """What a shell has to be told, and how it wants to be told a word and its meaning."""

    script: str
    answer: Callable[[str, str], str]


_SHELLS: Final = {
    "bash": _Shell(_BASH, lambda word, _: word),
    "zsh": _Shell(_ZSH, lambda word, means: word.replace(":", "\\:") + (f":{means}" if means else "")),
    "fish": _Shell(_FISH, lambda word, means: f"{word}\t{means}" if means else word),
}


def completion(args: Namespace) -> int:
    """Print the script of a shell, or what the last of some words may become.

    Raises:
        ConfigurationError: It is none of the shells that there are.
    """
    shell = _SHELLS.get(args.shell)
    if shell is None:
        hint = near(args.shell, _SHELLS) or f": give {', '.join(_SHELLS)}"
        raise ConfigurationError(f"completion: there is no script for {args.shell!r}{hint}")
    if not args.word:
        print(shell.script)
        return 0
    *before, word = args.word
    with suppress(ValueError):  # bash hands words over as they were typed
        word = "".join(shlex.split(word))
    found = [*_candidates(before, word)]
    if found != _LEFT:
        found = [each for each in found if each[0].startswith(word) and each[0].isprintable()]
    for each in found[:_MOST]:
        print(shell.answer(*each))
    return 0


def _candidates(before: Sequence[str], word: str) -> Iterator[tuple[str, str]]:
    """Words that may stand here, and what they mean."""
    if not before and word.startswith("-"):
        yield from (("--help", ""), ("--version", ""))
    elif not before:
        yield from ((name, command.help) for name, command in COMMANDS.items())
    elif before[0] in COMMANDS:
        yield from _behind(COMMANDS[before[0]].args, before[1:], word)


def _behind(args: Sequence[Arg], before: Sequence[str], word: str) -> Iterator[tuple[str, str]]:
    """What may stand behind a command: values of the flag before it, flags, or what its place is for."""
    flags = {arg.name: arg for arg in args if arg.name.startswith("-")}
    last = flags.get(before[-1]) if before else None
    if last is not None and last.value:
        yield from _values(last.value)
    elif word.startswith("-"):
        yield from ((arg.name, arg.help) for arg in flags.values() if arg.nargs or arg.name not in before)
        yield "--help", ""
    else:
        taken = sum(not each.startswith("-") and not _is_value(flags, before, at) for at, each in enumerate(before))
        places = [arg for arg in args if not arg.name.startswith("-")]
        if places and (taken < len(places) or places[-1].nargs == "*"):
            yield from _values(places[min(taken, len(places) - 1)].name)


def _is_value(flags: dict[str, Arg], before: Sequence[str], at: int) -> bool:
    """Whether a word belongs to the flag before it."""
    flag = flags.get(before[at - 1]) if at else None
    return flag is not None and bool(flag.value)


def _values(kind: str) -> Iterator[tuple[str, str]]:
    """What a place is for, as help names it."""
    if kind in _FILES:
        yield from _LEFT
    elif kind == "SHELL":
        yield from ((name, "") for name in _SHELLS)
    elif kind in {"TASK", "ENTRY|TASK"}:
        from nbflow.cli.tables import store  # noqa: PLC0415 - commands and flags are told without it, twice as fast

        with suppress(NbflowError):
            yield from ((each.task, f"{each.entries:,} kept") for each in store().stats().tasks if each.entries)
