"""How soon a live comparison is seen: from the call that displays it to the first paint, with many rows behind it.

python tests/benchmarks/widget.py [--rows 1000,100000]

The kernel notes the wall clock before it sends anything; the page notes, on the same machine's clock, when the frame
after the view's mount was painted. Nothing is subtracted: the messages, the script, JupyterLab's own work are in it.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
TIMES = 11
SEEN = """() => {
  window.seen = {};
  const now = () => performance.timeOrigin + performance.now();
  const look = () => {
    for (const view of document.querySelectorAll(".mlaas-live:not([data-seen])")) {
      view.dataset.seen = "yes";
      window.seen.mounted = now();
      // The frame that holds it, and the task after: then it has been painted.
      requestAnimationFrame(() => {
        const done = new MessageChannel();
        done.port1.onmessage = () => { window.seen.at = now(); };
        done.port2.postMessage(0);
      });
    }
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
}"""
CELL = """%load_ext mlaas_lab
import time, json
from IPython.display import display
from mlaas_lab import fronts, widgets
shown = %mlaas compare records.parquet
started = time.time(); shown.view(); panels_s = time.time() - started"""
AGAIN = """at = time.time()
fronts.show(shown)
kernel_s = time.time() - at
live = widgets.of(shown)
print("KEPT", json.dumps([at, kernel_s, panels_s, len(json.dumps(live.content)), len(live._esm) + len(live._css)]))"""


def records(folder: Path, rows: int) -> None:
    """Two targets on half as many samples each."""
    import polars as pl
    from made_records import duel, file_of

    few = pl.read_parquet(file_of(folder / "few.parquet", duel(n=500, right=300, usd="0.001")))
    parts = [few.with_columns(sample_id=pl.format("{}-{}", "sample_id", pl.lit(i))) for i in range(rows // 1000)]
    pl.concat(parts).write_parquet(folder / "records.parquet")


def measured(lab, page, rows: int) -> dict[str, float]:
    """Medians over several displays in one notebook."""
    records(lab.folder, rows)
    lab.open(page, CELL, *[AGAIN] * TIMES)
    page.evaluate(SEEN)
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".jp-InputPrompt:text-is('[1]:')", timeout=120_000)
    found = []
    for i in range(TIMES):
        page.evaluate("window.seen = {}")
        page.keyboard.press("Shift+Enter")
        page.wait_for_selector(f".jp-InputPrompt:text-is('[{i + 2}]:')", timeout=120_000)
        page.wait_for_function("window.seen.at")
        kept = page.locator(".jp-OutputArea pre", has_text="KEPT").last.inner_text()
        at, kernel_s, panels_s, size, script = json.loads(kept.removeprefix("KEPT "))
        painted = page.evaluate("window.seen.at") / 1000
        mounted = page.evaluate("window.seen.mounted") / 1000
        found.append(
            {
                "paint_ms": 1000 * (painted - at),
                "mount_ms": 1000 * (mounted - at),
                "kernel_ms": 1000 * kernel_s,
                "panels_ms": 1000 * panels_s,
                "bytes": size,
                "script": script,
            }
        )
    found = found[1:]  # The first loads the widget library.
    middle = {name: statistics.median(one[name] for one in found) for name in found[0]}
    paints = [one["paint_ms"] for one in found]
    return middle | {"best_ms": min(paints), "worst_ms": max(paints)}


def main() -> None:
    """The command line."""
    from jupyter_pages import Lab, launch
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="1000,100000")
    args = parser.parse_args()
    print(
        "| rows behind it | display to first paint | best to worst | mounted | kernel, all of it | panels before | payload | script and style |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for rows in map(int, args.rows.split(",")):
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
            lab = Lab(Path(folder), theme="light")
            browser = launch(driver)
            try:
                page = browser.new_page(viewport={"width": 1200, "height": 1000})
                one = measured(lab, page, rows)
            finally:
                browser.close()
                lab.close()
        print(
            f"| {rows:,} | {one['paint_ms']:.0f} ms | {one['best_ms']:.0f} to {one['worst_ms']:.0f} ms | "
            f"{one['mount_ms']:.0f} ms | {one['kernel_ms']:.0f} ms | "
            f"{one['panels_ms']:.0f} ms | {one['bytes'] / 1000:.1f} kB | {one['script'] / 1000:.1f} kB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
