"""Whose money it is and which budgets stand above it: what a job or a command knows of the ledger.

`account` is where one of them holds and spends, `dead` finds holders whose process is gone, `hours` charges machines by
time. The rows and their transaction are `store.ledger`'s; what a call costs is its caller's affair.
"""

from mlaas_lab.ledger.account import Account, name_of
from mlaas_lab.ledger.dead import bury
from mlaas_lab.store.spending import MICRO, Charge, Kind

__all__ = ["MICRO", "Account", "Charge", "Kind", "bury", "name_of"]
