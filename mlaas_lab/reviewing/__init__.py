"""People who look at answers side by side, what they say of them, and the decision that somebody signs.

Each word is on the disk before it is shown as said, beside the records it is about. Nothing here knows a widget, a page
or a command: whoever shows a review asks a `Desk`.
"""

from mlaas_lab.reviewing.desk import Desk
from mlaas_lab.reviewing.evidence import Evidence, Ruled
from mlaas_lab.reviewing.ordering import Pair, Pairs
from mlaas_lab.reviewing.review import Preference, Review, Said, Setup
from mlaas_lab.reviewing.signed import AuditLog, Signed
from mlaas_lab.reviewing.sitting import WORDS, Sitting
from mlaas_lab.reviewing.tally import Tally

__all__ = [
    "WORDS",
    "AuditLog",
    "Desk",
    "Evidence",
    "Pair",
    "Pairs",
    "Preference",
    "Review",
    "Ruled",
    "Said",
    "Setup",
    "Signed",
    "Sitting",
    "Tally",
]
