"""What many processes spend under one cap: 32 evaluations of 300 calls each, against the vendor's own ledger.

    python tests/benchmarks/ledger.py [--processes 32] [--calls 300] [--usd 1]

The vendor is an emulator on this machine that bills as gpt-4o does. The cap is below what all of it would cost, so most
processes run into it. The control looks at what is left before it takes it, in two transactions, and must be seen to
overspend. Exit code 1 where more than the cap was spent, our ledger is not the vendor's, or the control is not seen.
"""

import argparse
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from emulated import emulated
from made_spending import HASTY, micro_usd, spend, spent, with_budget

from mlaas_lab.settings import Settings

QUIET = "import os; [os.dup2(os.open(os.devnull, os.O_WRONLY), one) for one in (1, 2)]"
"""Jobs note when the cap ends them; that is not printed."""


def measured(processes: int, calls: int, cap: int, *, sabotage: str = "") -> bool:
    """Printed; whether the cap holds and both ledgers are equal."""
    with tempfile.TemporaryDirectory() as place, emulated("openai", ttft_s=0.01) as server:
        folder = Path(place)
        settings = with_budget(Settings(data_dir=folder, cache_dir=folder), max_usd_per_day=cap)
        began = time.perf_counter()
        spend(server, settings, folder, processes=processes, calls=calls, sabotage=f"{QUIET}\n{sabotage}")
        took_s, billed, answered = time.perf_counter() - began, micro_usd(server), len(server.ledger)
        known, unknown = spent(settings)
    over = max(0, billed - cap)
    print(f"{'control: looks, then takes' if sabotage else 'ours':28}{processes:>10}{answered:>8}", end="")
    print("".join(f"{Decimal(one) / 1_000_000:>12.6f}" for one in (cap, billed, known, unknown, over)), end="")
    print(f"{took_s:>8.0f} s", flush=True)
    return over == 0 and (known, unknown) == (billed, 0)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--processes", type=int, default=32)
    words.add_argument("--calls", type=int, default=300)
    words.add_argument("--usd", type=Decimal, default=Decimal(1), help="the cap")
    args = words.parse_args()
    print(f"{'dollars':28}{'processes':>10}{'calls':>8}", end="")
    print("".join(f"{name:>12}" for name in ("cap", "billed", "our ledger", "unknown", "overspent")), f"{'took':>9}")
    held = measured(args.processes, args.calls, int(args.usd * 1_000_000))
    seen = not measured(12, args.calls, 200_000, sabotage=HASTY)
    print(f"Overspent 0, and our ledger is the vendor's: {'holds' if held else 'DOES NOT HOLD'}.", end=" ")
    print(f"The control: {'seen to fail' if seen else 'NOT SEEN'}.")
    return int(not (held and seen))


if __name__ == "__main__":
    sys.exit(main())
