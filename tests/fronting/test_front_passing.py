"""What the front passes on: bytes as they come, ends as ends, and cuts as cuts."""

import http.client
import json
import threading
import time

import pytest
from scripted_server import BODY, CUT, LAST, RESET, STREAM_HEAD, WHOLE, ScriptedServer, chunk

EVENTS = [b'data: {"n": %d, "text": "gr\xc3\xbc\xc3\x9fe"}\n\n' % n for n in range(4)] + [b"data: [DONE]\n\n"]
STREAM = b"".join(map(chunk, EVENTS))
ASK = b'{"model": "a", "stream": true}'


def body_of(data):
    return data.partition(b"\r\n\r\n")[2]


def test_a_stream_comes_out_byte_for_byte_wherever_it_is_cut_into_pieces(front):
    whole = STREAM_HEAD + STREAM + LAST
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        for at in range(0, len(whole), 9):
            server.script = lambda _request, at=at: [whole[:at], 0.002, whole[at:]] if at else [whole]
            got = front.send(front.request(ASK, connection="close"))
            assert body_of(got) == STREAM + LAST, at


def test_one_byte_at_a_time(front):
    tail = b"0\r\nx-done: yes\r\n\r\n"
    whole = STREAM_HEAD + STREAM + tail
    with ScriptedServer(script=lambda _request: [whole[n : n + 1] for n in range(len(whole))]) as server:
        front.serve("a", server.base_url)
        got = front.send(front.request(ASK, connection="close"))
    assert body_of(got) == STREAM + tail, "with its trailers"


def test_each_event_is_there_before_the_next_is_made(front):
    release = threading.Semaphore(0)

    def script(_request):
        yield STREAM_HEAD
        for event in EVENTS:
            yield chunk(event)
            assert release.acquire(timeout=10)
        yield LAST

    with ScriptedServer(script=script) as server, front.connect() as connection:
        front.serve("a", server.base_url)
        connection.sendall(front.request(ASK))
        got = b""
        for event in EVENTS:
            while event not in got:
                got += connection.recv(65536)
            release.release()


def test_a_connection_is_used_again_on_both_sides(front):
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        ours = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
        for _ in range(3):
            ours.request("POST", "/v1/chat/completions", b'{"model": "a"}', {"Authorization": f"Bearer {front.token}"})
            assert ours.getresponse().read() == BODY
        ours.close()
        assert len(server.requests) == 3
        assert server.connections == 1


def test_requests_that_come_at_once_are_answered_in_their_order(front):
    with ScriptedServer(script=lambda request: [_echo(request)]) as server:
        front.serve("a", server.base_url)
        bodies = [json.dumps({"model": "a", "n": n}).encode() for n in range(3)]
        data = b"".join(front.request(body) for body in bodies[:2]) + front.request(bodies[2], connection="close")
        got = front.send(data)
    assert [got.count(body) for body in bodies] == [1, 1, 1]
    assert got.find(bodies[0]) < got.find(bodies[1]) < got.find(bodies[2])


def _echo(request):
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(request.body), request.body)


@pytest.mark.parametrize("end", [CUT, RESET], ids=["end", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        [STREAM_HEAD + chunk(EVENTS[0])],
        [STREAM_HEAD + STREAM],
        [STREAM_HEAD + STREAM + b"0\r\n"],
        [STREAM_HEAD],
        [WHOLE[:-1]],
    ],
    ids=["between events", "before the last chunk", "in the last chunk", "after the head", "in a whole answer"],
)
def test_an_answer_that_is_cut_shows_as_cut(front, sent, end):
    with ScriptedServer(script=lambda _request: [*sent, 0.05, end]) as server:
        front.serve("a", server.base_url)
        got = front.send(front.request(ASK))
    assert got.startswith(b"HTTP/1.1 200") or end is RESET
    assert not whole(got)


def whole(data):
    """Whether an answer has the end that it promises."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if length:
        return len(body) == int(length[0].partition(b":")[2])
    while body:
        size, mark, body = body.partition(b"\r\n")
        if not mark or int(size, 16) == 0:
            return bool(mark) and body == b"\r\n"
        body = body[int(size, 16) + 2 :]
    return False


def test_a_clean_end_is_one(front):
    """The control of the cuts: the same bytes with their end are an answer."""
    with ScriptedServer(script=lambda _request: [STREAM_HEAD + STREAM + LAST]) as server:
        front.serve("a", server.base_url)
        got = front.send(front.request(ASK, connection="close"))
    assert whole(got)
    assert b"connection: close" in got


def test_a_server_that_never_begins_is_a_bad_gateway(front):
    with ScriptedServer(script=lambda _request: [CUT]) as server:
        front.serve("a", server.base_url)
        status, _, said = front.ask()
    assert (status, said["error"]["code"]) == (502, "no_answer")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nno end in sight",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nset-cookie: a\nx: y\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
)
def test_an_answer_that_could_be_read_in_two_ways_is_none(front, answer):
    with ScriptedServer(script=lambda _request: [answer]) as server:
        front.serve("a", server.base_url)
        status, _, said = front.ask()
    assert (status, said["error"]["code"]) == (502, "no_answer")


def test_a_chunk_that_is_longer_than_it_said_is_cut(front):
    with ScriptedServer(script=lambda _request: [STREAM_HEAD + b"3\r\nabcd\r\n" + LAST]) as server:
        front.serve("a", server.base_url)
        got = front.send(front.request(ASK, connection="close"))
    assert not got.endswith(LAST)


def test_bytes_after_an_answer_are_not_passed_on(front):
    with ScriptedServer(
        script=lambda _request: [WHOLE + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"]
    ) as server:
        front.serve("a", server.base_url)
        assert b"evil" not in front.send(front.request() + front.request(connection="close"))
        assert server.connections == 2, "nor is the connection used again"


def test_who_goes_away_is_not_generated_for(front):
    with ScriptedServer(script=lambda _request: [STREAM_HEAD + chunk(EVENTS[0]), 20.0]) as server:
        front.serve("a", server.base_url)
        with front.connect() as connection:
            connection.sendall(front.request(ASK))
            assert connection.recv(65536)
        assert server.gone.wait(5)


def test_who_goes_away_before_the_first_byte_is_not_either(front):
    with ScriptedServer(script=lambda _request: [20.0]) as server:
        front.serve("a", server.base_url)
        with front.connect() as connection:
            connection.sendall(front.request(ASK))
            until(lambda: server.requests)
        assert server.gone.wait(5)


def test_who_stays_is(front):
    """The control of the two before: the server waits as long, and nobody hangs up."""
    with ScriptedServer(script=lambda _request: [STREAM_HEAD + chunk(EVENTS[0]), 0.5, LAST]) as server:
        front.serve("a", server.base_url)
        assert front.send(front.request(ASK, connection="close")).endswith(LAST)
        assert not server.gone.is_set()


def until(true, within_s=10.0):
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_64_streams_at_once_keep_apart(front):
    gate = threading.Barrier(64, timeout=30)

    def script(request):
        yield STREAM_HEAD
        gate.wait()
        for n in range(20):
            yield chunk(b"data: %s %d\n\n" % (request.body, n))
        yield LAST

    found = {}

    def one(n):
        body = json.dumps({"model": "a", "n": n}).encode()
        found[n] = (body, body_of(front.send(front.request(body, connection="close"))))

    with ScriptedServer(script=script) as server:
        front.serve("a", server.base_url)
        threads = [threading.Thread(target=one, args=(n,)) for n in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    for body, got in found.values():
        assert got == b"".join(chunk(b"data: %s %d\n\n" % (body, n)) for n in range(20)) + LAST
    assert len(found) == 64


def test_a_slow_reader_does_not_fill_the_memory(front):
    sent = []
    piece = chunk(b"x" * 65_000)

    def script(_request):
        yield STREAM_HEAD
        for n in range(400):
            sent.append(n)
            yield piece
        yield LAST

    with ScriptedServer(script=script) as server, front.connect() as connection:
        front.serve("a", server.base_url)
        connection.sendall(front.request(ASK, connection="close"))
        before = -1
        while before != len(sent):
            before = len(sent)
            time.sleep(0.3)
        assert before < 400, "the server was held back"
        got = 0
        while data := connection.recv(2**20):
            got += len(data)
    assert got > 400 * len(piece)


class TestNames:
    @pytest.mark.parametrize(
        ("body", "sent"),
        [
            (b'{"model": "a", "n": 1.10}', b'{"model": "a@1", "n": 1.10}'),
            (b'{"n":1,"model" :\n"a"}', b'{"n":1,"model" :\n"a@1"}'),
            (b'{"x": {"model": "a"}, "model": "a"}', b'{"x":{"model":"a"},"model":"a@1"}'),
            (b'{"mod\\u0065l": "a", "x": {"model": "a"}}', b'{"model":"a@1","x":{"model":"a"}}'),
            (b'{"model": "b", "model": "a"}', b'{"model":"a@1"}'),
            (
                b'{"content": "\\"model\\": \\"a\\"", "model": "a"}',
                b'{"content": "\\"model\\": \\"a\\"", "model": "a@1"}',
            ),
        ],
    )
    def test_the_server_hears_its_own_name_for_the_model(self, front, body, sent):
        with ScriptedServer() as server:
            front.serve("a", server.base_url, model="a@1")
            assert front.send(front.request(body, connection="close")).startswith(b"HTTP/1.1 200")
        assert server.requests[0].body == sent

    def test_a_body_whose_name_is_right_is_left_alone(self, front):
        body = b'{ "model":"a" ,"text":"gr\\u00fc\xc3\x9fe", "n":1e3}'
        with ScriptedServer() as server:
            front.serve("a", server.base_url)
            front.send(front.request(body, connection="close"))
        assert server.requests[0].body == body

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model": 1}', b'{"model": ""}', b"{", b"\xff", b'"model"'])
    def test_a_body_that_names_none(self, front, body):
        status, _, said = front.ask(raw=body)
        assert status == 400
        assert said["error"]["type"] == "invalid_request_error"


def test_the_servers_key_replaces_ours_and_what_names_the_caller_stays_here(front):
    with ScriptedServer() as server:
        folder = front.settings.jobs_dir / front.job("a")
        folder.mkdir(parents=True)
        (folder / "key").write_text("its-own\n")
        front.serve("a", server.base_url)
        front.ask(x_forwarded_for="1.2.3.4", cookie="a=b", x_request_id="r1", te="trailers")
        got = server.requests[0]
        assert got.header("host") in server.base_url
    assert got.header("authorization") == "Bearer its-own"
    assert got.header("x-request-id") == "r1"
    assert front.token.encode() not in got.head + got.body
    assert [got.header(name) for name in ("x-forwarded-for", "cookie", "te", "connection")] == [None] * 4
