"""`%mlaas` and `%%mlaas`: words of a cell become a command; parsing, completion and help, nothing else.

Loading this file imports nothing heavy: the commands come with the first use.
"""

import re
import shlex
import sys
from typing import Any

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.error import UsageError as CellError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
    output_can_be_silenced,
)
from traitlets import Dict

EXPANSION = re.compile(r"(?<!\{)\{([A-Za-z_]\w*(?:\.\w+|\[[^\]{}]*\])*)\}(?!\})|\$([A-Za-z_]\w*)")
"""`{name}`, `{name.attr}`, `{name[...]}` and `$name`; anything else in braces stays as it is."""
COMPLETER = "mlaas_lab.magic"
KEPT = (
    "mlaas: this cell holds what looks like a key, and the notebook keeps it. Take it out; put it in an environment"
    " variable, or in the system's keyring: %mlaas providers NAME --set-key\n"
)
AT_MAGIC = re.compile(r"(?:^|=\s*)%%?mlaas(?P<words>(?:\s.*)?)$")


@magics_class
class MlaasMagics(Magics):
    """Fine-tune, serve and compare from a cell."""

    settings = Dict(help="Settings of this session, e.g. {'threads': 2}; see `%mlaas config`.").tag(config=True)

    @needs_local_scope
    @no_var_expand
    @output_can_be_silenced
    @line_cell_magic
    def mlaas(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
        """Fine-tune, serve, compare: `%mlaas help` lists the commands, `%mlaas help COMMAND` their options.

        Results are objects: `job = %mlaas finetune --data rows.jsonl`. `%%mlaas COMMAND` takes its options as YAML
        from the cell (`ask`: the prompt); `--as NAME` binds its result. `{name}` and `$name` are Python's, an unknown
        name is an error; `--raw` leaves them alone. `--json` returns plain data.
        """
        from mlaas_lab.errors import LabError
        from mlaas_lab.redaction import holds_key, redacted

        if kept := holds_key(f"{line}\n{cell or ''}"):
            sys.stderr.write(KEPT)
        try:
            words = words_of(line, {**self._names, **(local_ns or {})})
            return self._run(words, cell)
        except LabError as error:
            if kept:
                error.message = redacted(error.message)
                error.args = (error.message,)
            raise
        except ValueError as error:
            raise CellError(f"mlaas: {error}") from None

    def _run(self, words: list[Any], cell: str | None) -> Any:
        from mlaas_lab import fronts
        from mlaas_lab.commands import _dispatch, _help
        from mlaas_lab.environment import silence
        from mlaas_lab.lab import Lab
        from mlaas_lab.settings import Preferences

        silence()
        if (text := _help.asked(words)) is not None:
            print(text)  # noqa: T201 - help is asked for to be read
            return None
        plain, bound = _take(words, "--json"), _take_value(words, "--as")
        front = fronts.Notebook() if fronts.in_notebook() else fronts.Terminal(sys.stderr)
        lab = Lab(Preferences().config(**self.settings), live=front.live, keeper=fronts.variables(self._names))
        result = _dispatch.execute(words, lab, body=cell)
        if result is not None and not lab.settings.widgets:
            result.still = True
        front.finish(result)
        value = result.as_json() if plain and result is not None else result
        self._names["_mlaas"] = value
        if bound:
            self._names[bound] = value
        return None if bound else value

    @property
    def _names(self) -> dict[str, Any]:
        return {} if self.shell is None else self.shell.user_ns


def load(shell: InteractiveShell) -> None:
    """Register the magic and its completion; a second time changes nothing."""
    unload(shell)
    shell.register_magics(MlaasMagics)
    shell.Completer.custom_matchers.append(complete)
    if shell.display_formatter is not None:
        shell.display_formatter.ipython_display_formatter.for_type_by_name("mlaas_lab.view", "Shown", _show)


def unload(shell: InteractiveShell) -> None:
    """Leave nothing behind."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if getattr(matcher, "matcher_identifier", "") != COMPLETER]
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("mlaas", None)


def words_of(line: str, names: dict[str, Any], *, raw: bool = False) -> list[Any]:
    """A magic's line as words, as a shell splits them; a word that is only `$name` or `{name}` is the object itself.

    Raises:
        ValueError: for an open quote or a name that does not exist.
    """
    split = shlex.shlex(line, posix=True, punctuation_chars=False)
    split.whitespace_split = True
    split.commenters = ""
    words = list(split)
    comment = next((i for i, word in enumerate(words) if word.startswith("#")), len(words))
    words = words[:comment]
    if words and words[-1].endswith(";"):
        words[-1] = words[-1][:-1]
        words = words if words[-1] else words[:-1]
    if raw or "--raw" in words:
        return [word for word in words if word != "--raw"]
    return [_expanded(word, names) for word in words]


def _expanded(word: str, names: dict[str, Any]) -> Any:
    whole = EXPANSION.fullmatch(word)
    if whole:
        return _value(whole, names)
    return EXPANSION.sub(lambda found: str(_value(found, names)), word)


def _value(found: re.Match[str], names: dict[str, Any]) -> Any:
    text = found[1] or found[2]
    name = re.match(r"\w+", text)
    if name is None or name[0] not in names:
        raise ValueError(f"{found[0]} names nothing here; define {text!r}, or add --raw to leave it as it is.")
    value = names[name[0]]
    for attribute, key in re.findall(r"\.(\w+)|\[([^\]]*)\]", text[name.end() :]):
        value = getattr(value, attribute) if attribute else value[_key(key)]
    return value


def _key(text: str) -> Any:
    bare = text.strip()
    if bare.lstrip("-").isdigit():
        return int(bare)
    return bare.strip("'\"")


def _take(words: list[Any], flag: str) -> bool:
    found = any(isinstance(word, str) and word == flag for word in words)
    words[:] = [word for word in words if not (isinstance(word, str) and word == flag)]
    return found


def _take_value(words: list[Any], flag: str) -> str | None:
    for i, word in enumerate(words):
        if isinstance(word, str) and word == flag and i + 1 < len(words):
            value = str(words[i + 1])
            del words[i : i + 2]
            return value
    return None


def _show(shown: Any) -> None:
    from mlaas_lab.fronts import show

    show(shown)


@context_matcher(identifier=COMPLETER, priority=150)
def complete(context: Any) -> Any:
    """Commands, options, choices and names of jobs, endpoints and files, for `%`, `%%` and `x = %`."""
    lines = context.full_text.splitlines() or [""]
    before = lines[min(context.cursor_line, len(lines) - 1)][: context.cursor_position]
    at = AT_MAGIC.search(before)
    if at is None:
        return {"completions": [], "suppress": False}
    from mlaas_lab.commands._complete import candidates

    found = candidates(at["words"])
    return {"completions": [SimpleCompletion(text=text, type="mlaas") for text in found], "suppress": bool(found)}
