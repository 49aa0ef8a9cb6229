"""The kernel dies during a tracked job: the job goes on, and its curve in MLflow has no gap."""

import os
import signal

from jupyter_client.manager import start_new_kernel

from mlaas_lab.schema import JobState
from mlaas_lab.tracking.runs import run_info
from mlaas_lab.tracking.server import connect

STEPS = 80


def test_curve_has_no_gap_when_the_kernel_is_killed(lab, eventually):
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive("%load_ext mlaas_lab", timeout=60)
        client.execute_interactive(f"%mlaas toy_tracked --steps {STEPS} --pause-s 0.1 --name curve", timeout=60)
        eventually(lambda: lab.jobs.get("curve").job.progress is not None, 30)
        os.killpg(os.getpgid(manager.provisioner.process.pid), signal.SIGKILL)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    handle = lab.jobs.get("curve")
    assert handle.state is JobState.RUNNING
    handle.wait(120)
    run_id = handle.job.run_id
    history = connect(lab.settings).get_metric_history(run_id, "loss")
    assert [point.step for point in history] == list(range(STEPS))
    info = run_info(run_id, lab.settings)
    assert info.status == "FINISHED"
    assert info.params["steps"] == str(STEPS)
    assert info.metrics["counted"] == STEPS
