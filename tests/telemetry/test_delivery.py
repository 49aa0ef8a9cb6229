"""Spans reach a collector, and a collector that is not there slows no call and fails none."""

import asyncio
import socket

import pytest
from loopback import Loopback
from otlp_receiver import Receiver

from mlaas_lab import inference, telemetry
from mlaas_lab.schema import Message
from mlaas_lab.telemetry import pipeline

HI = (Message(role="user", content="hi"),)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def many(settings):
    """So many answers, without waiting for their spans."""

    def many(n, **more):
        route = inference.resolve("echo/any", settings.model_copy(update=more))

        async def all_of_them():
            async with inference.Client() as client:
                return [(await client.complete(route, HI)).text for _ in range(n)]

        return inference.on_loop(all_of_them())

    return many


def test_the_standard_variables_lead_there(receiver, ask, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{receiver.url}/base")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=canary-header")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-lab")
    monkeypatch.setattr(telemetry, "_open", {})
    ask("echo/any", telemetry="on")
    assert receiver.paths == ["/base/v1/traces"]
    assert receiver.headers[0]["x-key"] == "canary-header"
    assert receiver.spans[0].resource["service.name"] == "my-lab"


def test_every_call_is_told_once(receiver, many):
    assert many(1500, telemetry=receiver.url) == ["hi"] * 1500
    assert telemetry.flush(within_s=20) is None
    assert len(receiver.spans) == 1500


def test_who_is_not_there_is_said_once(many, caplog):
    port = free_port()
    assert many(3, telemetry=f"http://127.0.0.1:{port}") == ["hi"] * 3
    assert telemetry.flush(within_s=0.5) == (
        f"Telemetry: 3 spans could not be delivered to http://127.0.0.1:{port} (no answer)."
    )
    assert telemetry.flush(within_s=0.5) is None
    assert caplog.records == []


def test_who_refuses_is_named_with_the_status(many, caplog):
    with Receiver(status=401) as receiver:
        many(1, telemetry=f"{receiver.url}/v1/traces")
        note = telemetry.flush(within_s=5)
    assert note == f"Telemetry: 1 span could not be delivered to {receiver.url} (HTTP 401)."
    assert receiver.paths == ["/v1/traces"]
    assert caplog.records == []


def test_who_never_answers_holds_no_call(receiver, many, caplog, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "600")
    receiver.let.clear()
    assert many(2000, telemetry=receiver.url) == ["hi"] * 2000
    assert telemetry.flush(within_s=0.2) == (
        f"Telemetry: 2000 spans could not be delivered to {receiver.url} (no answer)."
    )
    receiver.let.set()
    telemetry.flush(within_s=0.2)
    made = next(one for key, one in telemetry._open.items() if receiver.url in key)
    made._processor.force_flush()
    # 600 waited, and 512 were under way if the sender had its turn in time; the queue never held more.
    assert len(receiver.spans) in (600, 1112)
    assert caplog.records == []


def test_log_lines_of_others_are_left_alone(caplog):
    import logging

    for name in pipeline.NOISY:
        logging.getLogger(name).warning("mine")
    assert [record.message for record in caplog.records] == ["mine"] * len(pipeline.NOISY)


def test_a_job_delivers_at_its_end(receiver, lab, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"prompt": "q{n}", "completion": "q{n}"}}\n' for n in range(5)))
    with Loopback() as server:
        lab.preferences.flag(telemetry=receiver.url)
        job = evaluated(lab, rows, server)
    assert job.result()["asked"] == 5
    assert len(receiver.spans) == 5
    assert {span.attributes["server.port"] for span in receiver.spans} == {server.port}


def test_a_job_says_once_what_was_not_delivered(lab, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "q", "completion": "q"}\n')
    with Loopback() as server:
        lab.preferences.flag(telemetry=f"http://127.0.0.1:{free_port()}")
        job = evaluated(lab, rows, server)
    assert [note for note in job.logs() if "could not be delivered" in note] == [
        f"Telemetry: 1 span could not be delivered to {lab.settings.telemetry} (no answer)."
    ]


def evaluated(lab, rows, server):
    from mlaas_lab.tasks.eval import Eval

    spec = Eval(data=rows, targets=(f"openai/m?base_url={server.base_url}",), metrics=("exact_match",))
    return lab.submit("eval", spec, wait=True)


def test_nothing_is_left_of_a_cancelled_call(receiver, settings):
    route = inference.resolve("echo/any", settings.model_copy(update={"telemetry": receiver.url}))

    async def cancelled():
        async with inference.Client() as client:
            work = asyncio.ensure_future(client.complete(route, HI))
            await asyncio.sleep(0)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return work.cancelled()

    assert inference.on_loop(cancelled())
    assert telemetry.flush() is None
    assert receiver.spans == []
