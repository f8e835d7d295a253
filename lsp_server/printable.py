"""Makes text from a model or a file safe to print on a terminal.

Source: Unicode general categories Cc, Cf, Cs, Zl, Zp (Unicode 15, chapter 4.5), and the bidirectional controls of
Trojan Source (CVE-2021-42574). Every such character is shown as an escape instead of being obeyed. Tab and line feed
stay.
Left out: wide and look-alike characters; they are visible.
"""

import unicodedata

_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")


def printable(text: str) -> str:
    """`text` with every control, invisible, bidirectional or unassigned character and lone surrogate escaped.

    The escapes are Python's (`\\x1b`, `\\u202e`). The result always encodes to UTF-8.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _HIDDEN_CATEGORIES:
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
