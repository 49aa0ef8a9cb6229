"""What the kernel pays: loading the extension, submitting a job, and coming back to one.

python tests/benchmarks/kernel.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOAD = """
import time, IPython, ipywidgets
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "mlaas_lab")
print(time.perf_counter() - began)
"""
SUBMIT = """
import time
from mlaas_lab import registry
from mlaas_lab.lab import Lab
lab, Toy = Lab(), registry.load("task", "toy").spec
lab.store.jobs()
took = []
for n in range(10):
    began = time.perf_counter()
    handle = lab.submit("toy", Toy(steps=1, name=str(n), pause_s=n / 1e6))
    took.append(time.perf_counter() - began)
    handle.wait(60)
print(sorted(took)[len(took) // 2])
"""
FIRST = """
import time, IPython, ipywidgets
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "mlaas_lab")
began = time.perf_counter()
shell.run_cell("job = %mlaas toy --steps 1")
print(time.perf_counter() - began)
"""
START = """
from mlaas_lab import registry
from mlaas_lab.lab import Lab
print(Lab().submit("toy", registry.load("task", "toy").spec(steps=10_000, pause_s=0.02)).id)
"""
COME_BACK = """
import time, IPython, ipywidgets
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "mlaas_lab")
shell.run_cell("job = %mlaas attach")
shell.user_ns["job"]._repr_html_()
print(time.perf_counter() - began)
"""
RUNS = 7


def come_back(runs: int = 20) -> list[float]:
    """What it takes in a new kernel, imports included, to see the card of a job that runs."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "PYTHONPATH": str(Path(__file__).parents[1] / "plugins")}

        def run(script: str) -> str:
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
            return done.stdout.strip().splitlines()[-1]

        job_id = run(START)
        took = [float(run(COME_BACK)) for _ in range(runs)]
        subprocess.run([sys.executable, "-m", "mlaas_lab.cli", "cancel", job_id], capture_output=True, env=environment)
    return took


def seconds(script: str, runs: int = RUNS) -> list[float]:
    """What `script` printed, in fresh processes with homes of their own."""
    took = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as home:
            plugins = str(Path(__file__).parents[1] / "plugins")
            environment = {**os.environ, "HOME": home, "PYTHONPATH": plugins}
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
            took.append(float(done.stdout.strip().splitlines()[-1]))
            time.sleep(0.5)
    return took


def main() -> None:
    """Print the table."""
    rows = [
        ("%load_ext mlaas_lab, beyond IPython and ipywidgets", seconds(LOAD), 0.150),
        ("submit a job", seconds(SUBMIT, 3), 0.300),
        ("first `%mlaas` of a kernel, imports included", seconds(FIRST), None),
        ("card of a running job in a new kernel, imports included", come_back(), 2.0),
    ]
    print(f"{'':55}{'median':>10}{'worst':>10}{'promised':>10}")
    for name, took, promised in rows:
        bound = f"{1000 * promised:.0f} ms" if promised else "-"
        print(f"{name:55}{1000 * statistics.median(took):>7.0f} ms{1000 * max(took):>7.0f} ms{bound:>10}")


if __name__ == "__main__":
    main()
