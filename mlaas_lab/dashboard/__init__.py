"""The review dashboard: what a notebook shows of a comparison, and a review and a decision, without writing code.

Pages are the same Views, filtered by the address. One file a page, which says what Views it has and knows no server;
`live`, `app` and `served` alone know the library that serves them.
"""

import sys

from mlaas_lab import CommandToo

sys.modules[__name__].__class__ = CommandToo
