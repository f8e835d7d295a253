"""Filter: refuses text that holds characters a reader cannot see, or that change what a reader sees.

Source: "Trojan Source" (CVE-2021-42574) for bidirectional controls; Unicode categories Cc, Cf, Cs. Refused rather than
repaired: text with such a character in it is broken as a whole. Joiners (U+200C, U+200D) and variation selectors stay
where they belong to a script or an emoji, that is beside a character that is not ASCII.
"""

import re

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and newline; NEL is among them
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0"  # invisible letters and hyphens
    "\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff"  # zero width, separators, bidirectional controls
    "\ufff9-\ufffd\ufffe\uffff"  # annotations; U+FFFD is what is left of broken bytes
    "\ud800-\udfff"  # lone surrogates
    "\U000e0000-\U000e0fff"  # tags
    "]"
)
_JOINERS = "[\u200c\u200d\ufe00-\ufe0f]"
# A rainbow flag needs two in a row; more than that hides something.
_LOOSE_JOINER = re.compile(f"(?:^|[\x00-\x7f]){_JOINERS}+(?:[\x00-\x7f]|$)|{_JOINERS}{{3}}")
_KEYCAP = re.compile("[0-9#*]\ufe0f\u20e3")


def refuse_unsafe_text(draft: Draft, around: Surroundings) -> Draft | Reason:
    """The draft if all of its characters are visible and whole, else `unsafe_text`."""
    text = draft.text
    if text.isascii() and not _UNSAFE.search(text):
        return draft
    if _UNSAFE.search(text) or _LOOSE_JOINER.search(_KEYCAP.sub("", text)):
        return Reason.UNSAFE_TEXT
    return draft
