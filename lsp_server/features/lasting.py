"""Why a document gets no ghost text until somebody changes something: what an editor's status may say about it.

The rules are those that a request meets (quiet.py); here they are asked without one, when a document gets the focus
or context is to be gathered for it.
Left out: reasons that come and go while one types (outcome.LASTING says which do not).
"""

from lsp_server.features.quiet import DOCUMENT_RULES, Asked, first_refusal
from lsp_server.outcome import LASTING, Outcome
from lsp_server.switches import Switches


def lasting_refusal(asked: Asked, switches: Switches) -> Outcome | None:
    """The lasting reason why nothing would be shown unasked in this document, or None."""
    document = asked.snapshot.document
    refused = switches.refusal(document.uri, document.language, "automatic")
    if refused is not None:
        return refused
    refused = first_refusal(asked, DOCUMENT_RULES)
    return refused if refused is not None and refused.reason in LASTING else None


def is_ever_asked(asked: Asked, switches: Switches) -> bool:
    """Whether the engine may be asked about this document at all (`asked` is by hand): for others nothing is read."""
    document = asked.snapshot.document
    is_off = switches.refusal(document.uri, document.language, asked.snapshot.trigger) is not None
    return not is_off and first_refusal(asked, DOCUMENT_RULES) is None
