"""Holders whose process is gone: what they held may have been billed, so it is charged, and nothing is freed.

A process of another machine cannot be seen from here; what it holds stays held.
"""

from mlaas_lab.processes import elsewhere, find
from mlaas_lab.store.ledger import Ledger


def bury(ledger: Ledger) -> int:
    """Charge what the dead of this machine held; how many there were.

    Raises:
        StoreError: if the ledger cannot be used.
    """
    # Looked for before the transaction: nobody waits for us while we ask the system.
    gone = [hold for hold in ledger.holds() if not elsewhere(hold.holder) and find(hold.holder) is None]
    return ledger.bury(gone) if gone else 0
