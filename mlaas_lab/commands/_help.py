"""Help, made from the Specs: the same text for `help X`, `X --help`, `-h` and `%mlaas?`."""

import textwrap
from collections.abc import Sequence
from typing import Any

from mlaas_lab.commands._dispatch import Launch, command, names, pick
from mlaas_lab.spec import Option, options

WIDTH = 100
FLAGS = ("-h", "--help")


def asked(words: Sequence[Any]) -> str | None:
    """The help that `words` ask for, or None when they ask for something else."""
    if not words or words[0] in FLAGS:
        return overview()
    wanted = [word for word in words if not (isinstance(word, str) and word in FLAGS)]
    return None if len(wanted) == len(words) else usage(pick(wanted)[0])


def overview() -> str:
    """All commands, one line each."""
    rows = [(name, summary(name)) for name in names()]
    wide = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{wide}}  {text}" for name, text in rows]
    return "\n".join(
        [
            "Fine-tune, serve, compare, from a cell (%mlaas), the shell (mlaas) or Python (ml.).",
            "",
            "Usage: mlaas COMMAND [OPTIONS]   in a notebook: %mlaas COMMAND [OPTIONS]",
            "",
            *lines,
            "",
            "`help COMMAND` or `COMMAND --help` shows a command's options; --json prints one JSON object.",
            "",
            "  %mlaas finetune --base tiny --data support.jsonl --name support",
            "  %mlaas serve tiny support --wait",
            "  %mlaas eval --data held_out.jsonl --targets tiny,support --metrics exact_match,token_f1",
        ]
    )


def usage(name: str) -> str:
    """One command: what it does, its options, examples."""
    found = command(name)
    every = options(found.args)
    own = [option for option in every if option.name not in Launch.model_fields]
    words = " ".join(_word(option) for option in own if option.positional)
    lines = [f"mlaas {name} {words}".rstrip() + " [OPTIONS]", "", summary(name), ""]
    lines += _section("", own)
    if len(own) < len(every):
        lines += ["Launch:", *_section("", [option for option in every if option.name in Launch.model_fields])]
    if found.body:
        lines += [f"In a cell, %%mlaas {name} takes its {found.body} from the cell's text.", ""]
    if found.examples:
        lines += ["Examples:", *(f"  mlaas {example}" for example in found.examples), ""]
    return "\n".join(lines).rstrip()


def summary(name: str) -> str:
    """What a command does, in one line."""
    text = command(name).args.__doc__ or ""
    return " ".join(text.split("\n\n")[0].split())


def _section(title: str, several: list[Option]) -> list[str]:
    lines = [title] if title else []
    for option in several:
        flag = f"{option.short}, {option.flag}" if option.short else option.flag
        head = option.metavar if option.positional else flag
        if not option.positional and option.kind != "flag":
            head += f" {option.metavar}"
        text = textwrap.wrap(option.help + _default(option), WIDTH - 26) or [""]
        lines.append(f"  {head:<22}  {text[0]}" if len(head) <= 22 else f"  {head}\n{'':26}{text[0]}")
        lines += [f"{'':26}{more}" for more in text[1:]]
    return [*lines, ""]


def _default(option: Option) -> str:
    if option.required:
        return " Required."
    value = option.default
    if value in (None, "", (), False) or callable(value):
        return ""
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return f" [{shown}]"


def _word(option: Option) -> str:
    return option.metavar if option.required else f"[{option.metavar}]"
