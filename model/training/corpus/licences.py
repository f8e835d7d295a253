"""Whether a package may be trained on: its declarations and its licence file must agree on one permissive licence.

SPDX expressions are parsed by `license-expression`. The rule is strict: nothing declared, no
licence file, a licence file that is not recognised, any trace of a copyleft or proprietary licence, or sources
without a common licence all reject, each with its reason. Licences are compared by family ("BSD" for two and three
clauses), because classifiers know no more. Left out: per-file copyright, except that a source file whose own head
names a copyleft licence is dropped (source_files.py uses `COPYLEFT_TEXT`).
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import msgspec

FAMILY_OF_SPDX = {
    "MIT": "MIT",
    "MIT-0": "MIT",
    "X11": "MIT",
    "NCSA": "MIT",
    "BSD-2-Clause": "BSD",
    "BSD-3-Clause": "BSD",
    "BSD-2-Clause-Views": "BSD",
    "BSD-3-Clause-Clear": "BSD",
    "BSD-Source-Code": "BSD",
    "Apache-2.0": "Apache",
    "ISC": "ISC",
    "0BSD": "ISC",
    "HPND": "HPND",
    "MIT-CMU": "HPND",
    "PSF-2.0": "PSF",
    "Python-2.0": "PSF",
    "Python-2.0.1": "PSF",
    "CNRI-Python": "PSF",
    "Zlib": "Zlib",
    "zlib-acknowledgement": "Zlib",
    "BSL-1.0": "Boost",
    "Unlicense": "Unlicense",
    "CC0-1.0": "CC0",
}

# Order matters nowhere: every pattern that matches adds its family.
_FAMILY_TEXTS = {
    "MIT": r"permission is hereby granted,? free of charge,? to any person obtaining a copy of",
    "BSD": r"redistribution and use in source and binary forms,? with or without modification,? are permitted",
    "Apache": r"apache license,? version 2\.0|apache license version 2\.0, january 2004",
    "ISC": r"permission to use, copy, modify,? and(/or)? distribute this software for any purpose with or without fee",
    "HPND": r"permission to use, copy, modify,? and distribute this software and its( associated)? documentation",
    "PSF": r"python software foundation license",
    "Zlib": r"altered source versions must be plainly marked",
    "Boost": r"boost software license",
    "Unlicense": r"free and unencumbered software released into the public domain",
    "CC0": r"cc0 1\.0 universal",
}
_FAMILY_NAMES = {
    "MIT": r"\bmit\b|\bexpat\b",
    "BSD": r"bsd\b|\bbsd",
    "Apache": r"\bapache\b|\basl\b",
    "ISC": r"\bisc\b|\biscl\b|\b0bsd\b",
    "HPND": r"\bhpnd\b|historical permission",
    "PSF": r"\bpsf\b|\bpsfl\b|python software foundation",
    "Zlib": r"\bzlib\b",
    "Boost": r"\bboost\b|\bbsl-1\.0\b",
    "Unlicense": r"\bunlicen[sc]e\b",
    "CC0": r"\bcc0\b",
}
COPYLEFT_TEXT = re.compile(
    r"gnu (lesser |library |affero )?general public|gnu lesser|mozilla public license|eclipse public license"
    r"|common development and distribution|european union public licen|attribution-noncommercial|noncommercial license"
    r"|attribution-sharealike|sharealike|business source license|commons clause|server side public license"
    r"|elastic license|end user license agreement|cecill|(not|never) be used (for|to|as|in)\b.{0,60}"
    r"(machine learning|training|train )|all advertising materials mentioning"
    r"|spdx-license-identifier:\s*\(?(a?gpl|lgpl|mpl|epl|cddl|eupl|sspl|busl|cc-by)"
)
_COPYLEFT_NAMES = re.compile(
    r"gpl|\bgnu\b|\bmpl\b|mpl[- ]?[12]|mozilla|\bepl\b|eclipse|cddl|eupl|sspl|busl|proprietary|commercial|eula|cecill"
    r"|cc[- ]by|sharealike|copyleft|agreement|terms of (use|service)"
)
# The historical part of the Python licence names the GPL without applying it.
_PSF_ASIDE = re.compile(
    r"previously distributed under the gnu general public license|gpl-compatible|with the gpl|the gpl"
)


class Statement(msgspec.Struct, frozen=True):
    """What a package says about its licence. `licence_files` maps the file's name to its text."""

    expression: str = ""
    field: str = ""
    classifiers: Sequence[str] = ()
    licence_files: Mapping[str, str] = {}


class Verdict(msgspec.Struct, frozen=True):
    """`licence` is the SPDX expression where given, else the families. `reason` is "" exactly when permissive."""

    permissive: bool
    licence: str = ""
    reason: str = ""


class _Rejected(Exception):
    pass


def judge(statement: Statement) -> Verdict:
    """The decision for one package; never raises."""
    try:
        declared = [
            families
            for families in (
                _families_of_expression(statement.expression),
                _families_of_field(statement.field),
                _families_of_classifiers(statement.classifiers),
            )
            if families is not None
        ]
        if not declared:
            raise _Rejected("no licence declared")
        found = _families_of_files(statement.licence_files)
        common = frozenset.intersection(found, *declared)
        if not common:
            raise _Rejected("licence declarations and licence file disagree")
    except _Rejected as rejection:
        return Verdict(False, reason=str(rejection))
    return Verdict(True, licence=statement.expression.strip() or " or ".join(sorted(common)))


def is_licence_file(name: str) -> bool:
    """Whether a file name (no folder) is that of a licence text."""
    return (
        re.match(r"(un)?licen[cs]es?\b|copying|(apache|mit|bsd)[-_. ]?licen", name.lower().replace("_", "-"))
        is not None
    )


def _families_of_expression(expression: str) -> frozenset[str] | None:
    if not expression.strip():
        return None
    from license_expression import ExpressionError

    try:
        tree = _spdx().parse(expression, validate=True)
    except ExpressionError:
        raise _Rejected("licence expression is not valid SPDX") from None
    families = _families_of_tree(tree)
    if not families:
        raise _Rejected("licence expression is not permissive")
    return families


def _families_of_tree(tree) -> frozenset[str]:
    """Families one may choose to comply with; empty as soon as one needed licence is not permissive."""
    from license_expression import LicenseWithExceptionSymbol

    if tree is None:
        return frozenset()
    if tree.isliteral:
        symbol = tree.license_symbol if isinstance(tree, LicenseWithExceptionSymbol) else tree
        family = FAMILY_OF_SPDX.get(symbol.key)
        return frozenset([family]) if family else frozenset()
    parts = [_families_of_tree(part) for part in tree.args]
    if tree.operator.strip() == "AND" and not all(parts):
        return frozenset()
    return frozenset().union(*parts)


def _families_of_field(field: str) -> frozenset[str] | None:
    """The old free-text field: an expression, a name, a whole licence text, or nothing of use."""
    text = _plain(field)
    if not text or text in ("unknown", "none", "license", "license.txt", "see license", "dual license"):
        return None
    not_permissive = _Rejected("licence field is not permissive")
    if len(text) > 300:
        if COPYLEFT_TEXT.search(_PSF_ASIDE.sub("", text)):
            raise not_permissive
        return _families_in(text, _FAMILY_TEXTS) or None
    try:
        return _families_of_expression(field)
    except _Rejected as rejection:
        if "not permissive" in str(rejection):
            raise not_permissive from None
    if _COPYLEFT_NAMES.search(text):
        raise not_permissive
    return _families_in(text, _FAMILY_NAMES) or None


def _families_of_classifiers(classifiers: Sequence[str]) -> frozenset[str] | None:
    families: frozenset[str] = frozenset()
    for classifier in classifiers:
        parts = [part.strip() for part in classifier.split("::")]
        if parts[0] != "License" or parts[-1] in ("License", "OSI Approved", "DFSG approved"):
            continue
        name = parts[-1].lower()
        known = _families_in(name, _FAMILY_NAMES)
        if _COPYLEFT_NAMES.search(name) or not known:
            raise _Rejected("licence classifier is not permissive")
        families |= known
    return families or None


def _families_of_files(licence_files: Mapping[str, str]) -> frozenset[str]:
    if not licence_files:
        raise _Rejected("no licence file")
    families: frozenset[str] = frozenset()
    for text in licence_files.values():
        text = _plain(text)
        if COPYLEFT_TEXT.search(_PSF_ASIDE.sub("", text)):
            raise _Rejected("licence file names a copyleft or restricted licence")
        families |= _families_in(text, _FAMILY_TEXTS)
    if not families:
        raise _Rejected("licence file not recognised")
    return families


def _families_in(text: str, patterns: Mapping[str, str]) -> frozenset[str]:
    return frozenset(family for family, pattern in patterns.items() if re.search(pattern, text))


def _plain(text: str) -> str:
    """Lower case, single spaces, straight quotes gone: licence texts are wrapped and decorated differently."""
    return re.sub(r"[\s*#>\"'“”]+", " ", text.lower()).strip()


@cache
def _spdx():
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()
