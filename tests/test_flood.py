"""Jobs that print without end: the disk has every byte, the notebook gets a trickle, nobody's memory grows."""

import hashlib
import json
import time
from dataclasses import dataclass, field

import psutil
import pytest
from jupyter_client.manager import start_new_kernel
from loopback import Loopback

from mlaas_lab.store.folder import LONGEST, JobFolder

MESSAGES_PER_S, BYTES_PER_S = 50, 200_000


@dataclass
class Traffic:
    """What a kernel sent to its page."""

    times: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    kernel_bytes: int = 0
    """Growth of the kernel's resident memory."""
    jobs_bytes: int = 0
    """The largest resident memory of a supervisor."""

    def worst(self):
        """Most messages, and most bytes, in any second."""
        messages = size = first = now = 0
        for i, at in enumerate(self.times):
            now += self.sizes[i]
            while at - self.times[first] >= 1:
                now -= self.sizes[first]
                first += 1
            messages, size = max(messages, i - first + 1), max(size, now)
        return messages, size

    def __str__(self):
        messages, size = self.worst()
        took = self.times[-1] - self.times[0]
        rate = f"{len(self.times)} messages, {sum(self.sizes) / 1000:.0f} kB in {took:.1f} s"
        memory = f"kernel +{self.kernel_bytes / 1e6:.1f} MB, largest supervisor {self.jobs_bytes / 1e6:.0f} MB"
        return f"{rate}; worst second {messages} messages, {size / 1000:.0f} kB; {memory}"


class Page:
    """Reads everything that a kernel sends, as a browser would."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.kernel = psutil.Process(self.manager.provisioner.process.pid)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, code, until=lambda: True, within_s=240):
        """Run a cell and read until it is idle and `until` holds, and half a second more."""
        traffic, before = Traffic(), self.kernel.memory_info().rss
        asked, idle, quiet_at = self.client.execute(code), False, None
        deadline = time.monotonic() + within_s
        while quiet_at is None or time.monotonic() < quiet_at:
            assert time.monotonic() < deadline, "never quiet"
            if self.client.iopub_channel.socket.poll(50):
                message = self.client.get_iopub_msg(timeout=1)
                traffic.times.append(time.monotonic())
                traffic.sizes.append(len(json.dumps(message, default=str, ensure_ascii=False).encode()))
                assert message["msg_type"] != "error", message["content"]
                mine = message["parent_header"].get("msg_id") == asked
                idle |= mine and message["content"].get("execution_state") == "idle"
            if quiet_at is None and idle and until():
                quiet_at = time.monotonic() + 1
        traffic.kernel_bytes = self.kernel.memory_info().rss - before
        return traffic


@pytest.fixture
def page(home):
    page = Page()
    page.run("%load_ext mlaas_lab\n%mlaas version")
    yield page
    page.close()


def bounded(traffic):
    messages, size = traffic.worst()
    return messages <= MESSAGES_PER_S and size <= BYTES_PER_S


def digest(path):
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


@pytest.mark.parametrize("mb", [50, pytest.param(1000, marks=pytest.mark.long)])
def test_flood_is_whole_on_disk_and_a_trickle_in_the_notebook(page, lab, mb):
    largest = 0

    def ended():
        nonlocal largest
        jobs = lab.store.jobs()
        for job in jobs:
            pid = job.handle.get("pid")
            if pid and not job.state.ended and psutil.pid_exists(pid):
                largest = max(largest, psutil.Process(pid).memory_info().rss)
        return len(jobs) == 3 and all(job.state.ended for job in jobs)

    traffic = page.run(
        f"from IPython.display import display\n"
        f"display(get_ipython().run_line_magic('mlaas', 'toy_noisy --mb 20 --no-lines --name line --fails'))\n"
        f"display(get_ipython().run_line_magic('mlaas', 'toy_noisy --mb 10 --events 100000 --name events'))\n"
        f"%mlaas toy_noisy --mb {mb} --name lines --wait",
        until=ended,
    )
    traffic.jobs_bytes = largest
    print(f"\n{mb} MB: {traffic}")
    assert bounded(traffic)
    assert traffic.kernel_bytes < 50_000_000
    assert largest < 150_000_000
    for name in ("lines", "events"):
        handle = lab.jobs.get(name)
        assert digest(handle.folder.log) == handle.outcome["sha256"]
    assert lab.jobs.get("lines").folder.log.stat().st_size == mb * 1_000_000
    line = lab.jobs.get("line")
    assert line.folder.log.stat().st_size > 20_000_000
    assert max(map(len, line.logs(5000))) <= LONGEST + 3
    assert len(str(line)) < 10_000


def test_answer_of_ten_thousand_pieces_a_second(page):
    with Loopback(reply=lambda _body: " ".join(f"word{n:06}" for n in range(20_000))) as server:
        target = f"openai/m?base_url={server.base_url}"
        traffic = page.run(f"%mlaas ask go --targets echo/any,{target} --max-tokens 30000")
    print(f"\n20,000 pieces: {traffic}")
    assert bounded(traffic)
    assert sum(traffic.sizes) < 1_000_000


UPDATES = """
from mlaas_lab import fronts
from mlaas_lab.commands.ask import Answers, Asked
{sabotage}
front = fronts.Notebook()
row = Asked(target="echo/any", repeat=0)
answers = Answers("go", [row])
for n in range({n}):
    row.pieces.append("word ")
    front.live(answers)
front.finish(answers)
"""
UNPACED = "fronts.EVERY_S = 0\nfronts.Pace.sent = lambda self, data: 0.0"


def test_hundred_thousand_updates(page):
    traffic = page.run(UPDATES.format(n=100_000, sabotage=""))
    print(f"\n100,000 updates: {traffic}")
    assert bounded(traffic)


def test_control_a_front_without_its_pace_floods(page):
    traffic = page.run(UPDATES.format(n=1000, sabotage=UNPACED))
    print(f"\nwithout the pace: {traffic}")
    assert not bounded(traffic)


CARDS = """
import threading
from mlaas_lab import fronts
from mlaas_lab.view import Code, Shown, View
{sabotage}
class Card(Shown):
    id, n = "card", 0
    def view(self):
        self.n += 1
        return View(title=str(self.n), marks=[Code(text="é" * (60_000 if self.n > 1 else 1))])
    def as_json(self):
        return None
    @property
    def settled(self):
        return self.n > 4
for _ in range(4):
    fronts.show(Card())
for thread in threading.enumerate():
    if thread.name == "mlaas-follow-card":
        thread.join()
"""


@pytest.mark.long
def test_large_cards_of_many_jobs_share_one_pace(page):
    paced = page.run(CARDS.format(sabotage="fronts.EVERY_S = 0.1"))
    print(f"\n4 large cards: {paced}")
    unpaced = page.run(CARDS.format(sabotage=UNPACED))
    print(f"without the pace: {unpaced}")
    assert bounded(paced)
    assert not bounded(unpaced)


def test_tail_is_bounded_in_lines_bytes_and_characters(tmp_path):
    folder = JobFolder(tmp_path)
    folder.log.write_bytes(b"first\n" + b"y" * 5_000_000)
    (line,) = folder.tail(20)
    assert line.startswith("y" * 200 + " … ")
    assert len(line) == LONGEST + 3
    folder.log.write_text("x\n" * 1_000_000)
    assert len(folder.tail(5000)) == 5000
    assert len(folder.tail(10**9)) <= 64_000
