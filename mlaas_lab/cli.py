"""`mlaas` in the shell: the commands of `%mlaas`, jobs waited for, results as text or as one JSON object.

Exit 0 done, 1 failed, 2 wrong words, 130 interrupted. Standard output has the result and nothing else.
"""

import json
import os
import sys
from collections.abc import Sequence

from mlaas_lab.commands import _dispatch, _help
from mlaas_lab.environment import silence
from mlaas_lab.errors import Interrupted, LabError
from mlaas_lab.fronts import Terminal, json_file
from mlaas_lab.lab import Lab
from mlaas_lab.settings import Preferences
from mlaas_lab.view.markup import visible


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; the exit status."""
    silence()
    rest = list(sys.argv[1:] if words is None else words)
    as_json, debug = _take(rest, "--json"), _take(rest, "--debug")
    front = Terminal(sys.stderr)
    try:
        if (text := _help.asked(rest)) is not None:
            _say(text)
            return 0
        lab = Lab(_preferences(rest), waits=True, live=front.live, keeper=json_file)
        result = _dispatch.execute(rest, lab)
    except LabError as error:
        front.finish()
        if debug:
            raise
        if as_json:
            _say(json.dumps({"error": error.as_json()}))
        print(f"mlaas: {visible(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        front.finish()
        print("mlaas: interrupted.", file=sys.stderr)
        return Interrupted.exit_code
    front.finish()
    if result is not None:
        _say(json.dumps(result.as_json(), default=str) if as_json else str(result))
    if warning := getattr(result, "warning", None):
        print(f"mlaas: {visible(warning)}", file=sys.stderr)
    return int(getattr(result, "exit_code", 0))


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read has seen enough; Python's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _take(words: list[str], flag: str) -> bool:
    end = words.index("--") if "--" in words else len(words)
    if flag not in words[:end]:
        return False
    words.remove(flag)
    return True


def _preferences(words: list[str]) -> Preferences:
    """`--set name=value` anywhere before the command wins over every other setting."""
    preferences = Preferences()
    while words and words[0] == "--set":
        name, _, value = (words[1] if len(words) > 1 else "").partition("=")
        preferences.flag(**{name.replace("-", "_"): value})
        del words[:2]
    return preferences


if __name__ == "__main__":
    sys.exit(main())
