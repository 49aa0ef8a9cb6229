"""Proxies and certificates of the environment are honoured; TLS is checked; a stream that falls silent is given up."""

import asyncio
import threading

import pytest
from loopback import Fault, Loopback

from mlaas_lab.emulators._certificate import loopback_certificate
from mlaas_lab.emulators._minds import echo
from mlaas_lab.emulators._server import Server
from mlaas_lab.errors import NotFound, ProviderBug, TimedOut, Unreachable, UsageError
from mlaas_lab.inference import Limits, resolve
from mlaas_lab.registry import load

ONCE = Limits(timeout_s=20, retries=0)
TEXT = "Grüße an die 世界 heute"


class Proxy:
    """A corporate proxy on this machine: every tunnel ends at `port`; `answer` is said instead of opening one."""

    def __init__(self, port, answer=b""):
        self.port, self.answer, self.asked = port, answer, []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self.meet, "127.0.0.1", 0), self.loop
        ).result()
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def meet(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0].decode())
        if self.answer:
            writer.write(self.answer)
            await writer.drain()
            writer.close()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer), return_exceptions=True)


async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    """api.openai.com, on this machine, with a certificate of an authority that only the environment may name."""
    monkeypatch.setenv("OPENAI_API_KEY", "emulated-OPENAI_API_KEY")
    context = loopback_certificate(tmp_path, names=("api.openai.com",))
    with Server(load("emulator", "openai"), mind=echo, tls=context) as server:
        yield server


class TestProxies:
    def test_the_environments_proxy_and_authority_are_honoured(self, vendor, asked, settings, monkeypatch, tmp_path):
        with Proxy(vendor.port) as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            assert asked(resolve("openai/gpt-4.1-mini", settings), limits=ONCE).text == TEXT
            assert proxy.asked == ["CONNECT api.openai.com:443 HTTP/1.1"]

    def test_control_an_authority_that_nobody_named_is_not_trusted(self, vendor, asked, settings, monkeypatch):
        with Proxy(vendor.port) as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            with pytest.raises(Unreachable, match=r"certificate of api\.openai\.com is not trusted"):
                asked(resolve("openai/gpt-4.1-mini", settings), limits=ONCE)
        assert not vendor.asked

    def test_a_host_that_is_excepted_is_reached_directly(self, ask, monkeypatch):
        with Loopback() as server, Proxy(1) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            assert ask(server).text == TEXT
            assert proxy.asked == []

    def test_a_proxy_that_refuses_is_named(self, asked, settings, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "k-canary")
        refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        with Proxy(1, answer=refusal) as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            with pytest.raises(Unreachable, match="the proxy refuses the connection: 407") as caught:
                asked(resolve("openai/gpt-4.1-mini", settings), limits=ONCE)
            assert "canary" not in str(caught.value)

    def test_a_proxy_that_answers_html(self, ask):
        page = b"<!DOCTYPE html><html><body>Please sign in.</body></html>"
        for stream in (False, True):
            with (
                Loopback(faults=[Fault(body=page)]) as server,
                pytest.raises(ProviderBug, match="Please sign in"),
            ):
                ask(server, stream=stream)

    def test_certificates_that_cannot_be_read(self, asked, settings, monkeypatch, tmp_path):
        (tmp_path / "bad.pem").write_text("no certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bad.pem"))
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        with pytest.raises(UsageError, match=r"bad\.pem cannot be read"):
            asked(resolve("openai/m", settings))


class TestSilence:
    QUICK = Limits(timeout_s=30, retries=1, stall_s=0.4)

    def test_a_stream_that_falls_silent_is_given_up_and_tried_again(self, ask):
        with Loopback(faults=[Fault(stall_after=2), None]) as server:
            done = ask(server, stream=True, limits=self.QUICK)
        assert done.text == TEXT
        assert [attempt.error for attempt in done.attempts] == ["timed_out", None]

    def test_what_was_shown_is_not_tried_again(self, ask):
        shown = []
        with Loopback(faults=[Fault(stall_after=3), None]) as server:
            with pytest.raises(TimedOut, match=r"fell silent for 0\.4 s") as caught:
                ask(server, stream=True, limits=self.QUICK, on_delta=shown.append)
            assert len(server.requests) == 1
        assert shown
        assert len(caught.value.attempts) == 1

    def test_a_slow_stream_is_no_silent_one(self, ask):
        with Loopback(faults=[Fault(drip_s=0.15)]) as server:
            assert ask(server, stream=True, limits=self.QUICK).text == TEXT

    def test_an_answer_in_one_piece_may_take_its_time(self, ask):
        with Loopback(faults=[Fault(delay_s=1.0)]) as server:
            assert ask(server, limits=self.QUICK).text == TEXT

    def test_control_without_the_watch_it_would_wait_for_the_deadline(self, ask):
        with (
            Loopback(faults=[Fault(stall_after=2)]) as server,
            pytest.raises(TimedOut, match="no answer within 2 s"),
        ):
            ask(server, stream=True, limits=Limits(timeout_s=2, retries=1, stall_s=1000))


def test_a_redirect_is_never_followed_with_a_key(ask, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "canary-1")
    with Loopback() as elsewhere:
        away = Fault(status=308, headers={"Location": elsewhere.base_url}, body=b"")
        with Loopback(faults=[away]) as server, pytest.raises(NotFound):
            ask(server, query="&key_env=SOME_KEY", limits=ONCE)
        assert elsewhere.requests == []


def test_a_region_that_there_is_not_is_named(asked, settings, monkeypatch):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "k-canary")

    async def nobody(self, host, port=0, family=0):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("mlaas_lab.inference.network._Public.resolve", nobody)
    for region, hint in (("eu-centrl-1", "Did you mean 'eu-central-1'"), ("eu-central-1", None)):
        with pytest.raises(Unreachable) as caught:
            asked(resolve(f"bedrock/m?region={region}", settings), limits=ONCE)
        assert (hint or "") in str(caught.value)
        assert ("is no region" in str(caught.value)) == (hint is not None)
