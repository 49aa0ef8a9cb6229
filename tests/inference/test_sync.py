"""The synchronous outside: one background loop, and an interrupt that is obeyed at once."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from loopback import Fault, Loopback, cut, hang

from mlaas_lab import inference
from mlaas_lab.errors import Truncated, UsageError
from mlaas_lab.inference import on_loop
from mlaas_lab.schema import Message

HI = [Message(role="user", content="one two three")]


def test_complete(settings):
    assert inference.complete("echo/any", HI, settings=settings).text == "one two three"
    with pytest.raises(UsageError):
        inference.complete("ecko/any", HI, settings=settings)


def test_it_works_within_a_running_loop(settings):
    """As in a kernel's cell."""

    async def cell():
        return inference.complete("echo/any", HI, settings=settings).text

    assert asyncio.run(cell()) == "one two three"


def test_stream(settings):
    answer = inference.stream("echo/any", HI, settings=settings)
    assert next(answer) == "one"
    assert answer.completion is None
    assert list(answer) == [" two", " three"]
    assert answer.completion.text == "one two three"
    assert list(answer) == []


def test_stream_arrives_as_it_grows(settings):
    with Loopback(faults=[Fault(drip_s=0.1)]) as server:
        at = [time.monotonic() for _ in inference.stream(f"openai/a?base_url={server.base_url}", HI, settings=settings)]
    assert len(at) == 3
    assert at[-1] - at[0] > 0.15


def test_stream_that_breaks_raises_after_what_came(settings):
    with Loopback(faults=[cut(2)]) as server:
        answer = inference.stream(f"openai/a?base_url={server.base_url}", HI, settings=settings)
        assert next(answer) == "one"
        with pytest.raises(Truncated):
            list(answer)
        assert list(answer) == []


def test_a_stream_that_is_closed_hangs_up(settings):
    with Loopback(faults=[Fault(stall_after=2)]) as server:
        answer = inference.stream(f"openai/a?base_url={server.base_url}", HI, settings=settings)
        assert next(answer) == "one"
        answer.close()
        assert list(answer) == []
        patience = time.monotonic() + 5
        while server.in_flight and time.monotonic() < patience:
            time.sleep(0.01)
        assert server.in_flight == 0


def test_on_loop_is_one_thread_and_passes_results_and_errors():
    async def where():
        return threading.current_thread()

    async def broken():
        raise ValueError("mine")

    assert on_loop(where()) is on_loop(where())
    assert on_loop(where()) is not threading.current_thread()
    with pytest.raises(ValueError, match="mine"):
        on_loop(broken())


def test_on_loop_from_its_own_loop_is_refused():
    async def inner():
        return 1

    async def outer():
        return on_loop(inner())

    with pytest.raises(RuntimeError, match="its own loop"):
        on_loop(outer())


def test_meanwhile_runs_in_the_waiting_thread():
    seen = []
    on_loop(asyncio.sleep(0.3), meanwhile=lambda: seen.append(threading.current_thread()), every_s=0.05)
    assert 3 <= len(seen) <= 6
    assert set(seen) == {threading.current_thread()}


@pytest.mark.parametrize("meanwhile", [None, lambda: None])
def test_an_interrupt_returns_at_once_and_cancels(settings, meanwhile):
    with Loopback(faults=[hang()]) as server:
        route = inference.resolve(f"openai/a?base_url={server.base_url}", settings)

        async def ask():
            async with inference.Client() as client:
                await client.complete(route, HI)

        def interrupt():
            while not server.in_flight:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            on_loop(ask(), meanwhile=meanwhile)
        assert time.monotonic() - started < 8
        patience = time.monotonic() + 5
        while server.in_flight and time.monotonic() < patience:
            time.sleep(0.01)
        assert server.in_flight == 0


def test_an_interrupt_that_another_thread_took_is_seen():
    """The system may give a signal to any thread; one that waits without a limit would never hear of it."""

    def interrupt():
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        on_loop(asyncio.sleep(30))
    assert time.monotonic() - started < 15


def test_a_process_that_used_it_ends():
    """The loop's thread holds nobody up, and nothing complains at the end."""
    script = (
        "from pathlib import Path; from mlaas_lab import inference; from mlaas_lab.schema import Message;"
        "from mlaas_lab.settings import Settings;"
        "print(inference.complete('echo/a', [Message(role='user', content='hi')], settings=Settings()).text)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("hi\n", "")


ASK = """
import asyncio, os, sys
{before}
from mlaas_lab import inference
from mlaas_lab.inference.loop import background
from mlaas_lab.schema import Message
from mlaas_lab.settings import Settings

def ask(who):
    hi = [Message(role="user", content="hi")]
    print(who, inference.complete("openai/a?base_url={base_url}", hi, settings=Settings()).text, flush=True)

{asks}
"""


def asked_by(server, asks, before=""):
    """What a process of its own prints that asks `server`."""
    script = ASK.format(before=before, base_url=server.base_url, asks=asks)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split("\n")[:-1]


def test_it_runs_on_uvloop_and_without_it_on_asyncios_own_loop():
    """The quick loop is not there on every platform."""
    asks = "ask('mine'); print(type(background()).__module__, isinstance(background(), asyncio.SelectorEventLoop))"
    with Loopback() as server:
        assert asked_by(server, asks) == ["mine hi", "uvloop False"]
        without = asked_by(server, asks, before="sys.modules['uvloop'] = None")
    assert without == ["mine hi", "asyncio.unix_events True"]


def test_a_forked_child_asks_on_a_loop_of_its_own():
    asks = """
ask("parent")
child = os.fork()
if not child:
    ask("child")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
ask("parent")
"""
    with Loopback() as server:
        assert asked_by(server, asks) == ["parent hi", "child hi", "parent hi"]
