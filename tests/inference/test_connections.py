"""What is written on a connection, and what becomes of the connection: bytes of a server that says what it is told."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from mlaas_lab.errors import InvalidRequest
from mlaas_lab.inference import on_loop
from mlaas_lab.inference.connections import Answer, Connections, Via

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANG_UP = b""


class Script:
    """Answers the nth request with the nth of `says`, whole bytes; an empty one hangs up."""

    def __init__(self, *says):
        self.says, self.heard, self.connections = list(says), [], 0
        self.asked = asyncio.Event()

    async def meet(self, reader, writer):
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")]
                body = b"" if b"cut me off" in head else await reader.readexactly(int(size[0][16:]) if size else 0)
                self.heard.append((head, body))
                self.asked.set()
                said = self.says.pop(0)
                if said == HANG_UP:
                    break
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(script):
    server = await asyncio.start_server(script.meet, "127.0.0.1", 0)
    connections = Connections()
    try:
        yield connections, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await connections.close()
        server.close()


def exchanged(script, *requests):
    """Each request's status and body, or its error, one after the other."""

    async def all_of_them():
        found = []
        async with listening(script) as (connections, url):
            for method, path, more in requests:
                try:
                    async with connections.request(method, url + path, **{"headers": {}, **more}) as answer:
                        found.append((answer.status, await answer.content.read()))
                except (aiohttp.ClientError, OSError) as error:
                    found.append(type(error).__name__)
        return found

    return on_loop(all_of_them())


def lines(head):
    return head.decode().split("\r\n")[:-2]


def test_a_post_as_it_is_written():
    script = Script(OK)
    more = {"body": b'{"a":1}', "headers": {"X-Key": "k", "content-type": "text/plain"}}
    assert exchanged(script, ("POST", "/v1/chat?x=%20y", more)) == [(200, b"ok")]
    [(head, body)] = script.heard
    first, host, *fields = lines(head)
    assert first == "POST /v1/chat?x=%20y HTTP/1.1"
    assert host.startswith("Host: 127.0.0.1:")
    assert fields == [
        "Accept: */*",
        "Accept-Encoding: identity",
        "User-Agent: mlaas_lab",
        "X-Key: k",
        "content-type: text/plain",
        "Content-Length: 7",
    ]
    assert body == b'{"a":1}'


def test_a_get_has_no_body():
    script = Script(OK)
    assert exchanged(script, ("GET", "/", {})) == [(200, b"ok")]
    assert not [line for line in lines(script.heard[0][0]) if line.startswith("Content-Length")]


@pytest.mark.parametrize("value", ["a\r\nHost: elsewhere", "a\nb", "a\rb", "a\0b"])
def test_a_header_that_would_begin_another_is_refused(value):
    with pytest.raises(InvalidRequest, match="X-Key cannot be sent: its value is not on one line") as caught:
        exchanged(Script(OK), ("POST", "/", {"headers": {"X-Key": value}}))
    assert value not in str(caught.value)


def test_a_connection_is_used_again():
    script = Script(OK, OK, OK)
    assert exchanged(script, *[("POST", "/", {"body": b"1"})] * 3) == [(200, b"ok")] * 3
    assert script.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_one_that_the_server_closes_is_not(said):
    script = Script(said, OK)
    assert exchanged(script, *[("POST", "/", {"body": b"1"})] * 2) == [(200, b"ok")] * 2
    assert script.connections == 2


def test_what_comes_before_the_answer_is_passed_over():
    script = Script(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, OK)
    assert exchanged(script, *[("POST", "/", {"body": b"1"})] * 2) == [(200, b"ok")] * 2
    assert script.connections == 1


def test_chunks_and_an_empty_answer():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    script = Script(chunked, b"HTTP/1.1 204 No Content\r\n\r\n", OK)
    found = exchanged(script, *[("POST", "/", {"body": b"1"})] * 3)
    assert found == [(200, b"abcde"), (204, b""), (200, b"ok")]
    assert script.connections == 1


def test_an_answer_that_is_not_read_to_its_end_costs_the_connection():
    async def left():
        script = Script(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", OK)
        async with listening(script) as (connections, url):
            async with connections.request("POST", url, headers={}, body=b"1") as answer:
                assert await answer.content.readany() == b"ok"
            async with connections.request("POST", url, headers={}, body=b"1") as answer:
                assert await answer.content.read() == b"ok"
            return script.connections

    assert on_loop(left()) == 2


def test_one_that_came_before_all_was_said_costs_it_too():
    refused = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    script = Script(refused, OK)
    large = {"body": b"x" * 50_000_000, "headers": {"X-Note": "cut me off"}}
    assert exchanged(script, ("POST", "/", large), ("POST", "/", {"body": b"1"})) == [(413, b""), (200, b"ok")]
    assert script.connections == 2


class TestAServerThatHangsUp:
    """It is told to the caller; only a GET may be asked twice, since nothing is paid for it."""

    def test_a_get_is_asked_again(self):
        script = Script(HANG_UP, OK)
        assert exchanged(script, ("GET", "/", {})) == [(200, b"ok")]
        assert len(script.heard) == 2

    def test_but_once(self):
        script = Script(HANG_UP, HANG_UP, OK)
        assert exchanged(script, ("GET", "/", {})) == ["ServerDisconnectedError"]
        assert len(script.heard) == 2

    def test_a_post_is_not(self):
        script = Script(HANG_UP, OK)
        assert exchanged(script, ("POST", "/", {"body": b"1"})) == ["ServerDisconnectedError"]
        assert len(script.heard) == 1


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02\x02F\r\n\r\n"])
def test_what_is_no_http_is_an_error(said):
    assert exchanged(Script(said), ("POST", "/", {"body": b"1"})) == ["ClientResponseError"]


def test_nobody_there():
    async def asked():
        connections = Connections()
        try:
            async with connections.request("GET", "http://127.0.0.1:1/", headers={}):
                pass
        finally:
            await connections.close()

    with pytest.raises(aiohttp.ClientConnectorError):
        on_loop(asked())


def test_a_proxy_that_reads_the_request_hears_of_the_whole_address():
    async def asked():
        script = Script(OK)
        async with listening(script) as (connections, url):
            proxy = url.replace("http://", "http://me:secret@")
            place = "http://vendor.example/v1"
            async with connections.request("POST", place, headers={}, body=b"1", via=Via(proxy)) as answer:
                await answer.content.read()
        return lines(script.heard[0][0])

    first, host, *fields = on_loop(asked())
    assert first == "POST http://vendor.example/v1 HTTP/1.1"
    assert host == "Host: vendor.example"
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in fields


def test_a_request_that_is_cancelled_hangs_up():
    async def cancelled():
        script = Script(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
        async with listening(script) as (connections, url):
            task = asyncio.ensure_future(_read(connections.request("POST", url, headers={}, body=b"1")))
            await script.asked.wait()
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled(), [len(pool) for pool in connections._connectors[None]._conns.values()]

    gone, pools = on_loop(cancelled())
    assert gone
    assert sum(pools) == 0


async def _read(answer: Answer):
    async with answer:
        return await answer.content.read()
