"""The kinds of instructed edit by name: what the menu calls them, the words that ask for one, and where one fits.

Source: the kinds that models are trained and measured on (docs/evaluation.md); a model's capabilities list those that
work. Where one fits is told from the text alone, so that a menu opens at once: it may offer what changes nothing, never
what makes no sense. Left out: kinds that need a word of the user's (a new name, a condition) have no menu entry, they
are asked for in words.
"""

import re
from collections.abc import Iterable

import msgspec


class RewriteKind(msgspec.Struct, frozen=True):
    """One kind. `instruction` is an example of how it is asked for; with a hole in it (`{name}`) it needs a word of the
    user's. asked: what an instruction of this kind holds. fits / unfit: what code has that it is for / is not for.
    """

    name: str
    title: str
    instruction: str
    asked: str
    fits: str = r"\S"
    unfit: str = r"(?!)"

    @property
    def in_menu(self) -> bool:
        return "{" not in self.instruction

    def is_for(self, code: str) -> bool:
        return bool(re.search(self.fits, code, re.MULTILINE)) and not re.search(self.unfit, code, re.MULTILINE)


_HEADER = r"^[ \t]*(async )?def \w+\("
_STUB = r"(?s)\A[ \t]*(@.*?\n[ \t]*)*(async )?def .*(\bpass|\.\.\.|NotImplementedError(\([^\n]*\))?|:|\"\"\")\s*\Z"
_UNIDIOMATIC = (
    r"[!=]= None|\bnot \w+ (in|is)\b|\blen\(\w+\) (==|>|!=) 0|isinstance\([^)]*\) or isinstance"
    r"|\b(dict|list|tuple)\(\)|\bsuper\(\w|\bexcept:|^[ \t]*(\w+) = \3 [-+*/]"
)

KINDS: tuple[RewriteKind, ...] = (
    RewriteKind("fix", "Fix the bug", "fix the bug", r"\b(fix|correct|repair)\b|syntax error|not defined"),
    RewriteKind(
        "type-hints",
        "Add type hints",
        "add type hints",
        r"\b(type hints?|annotat|add types|type the)\b|\bannotat",
        r"^[ \t]*(async )?def \w+\([^:)]*\)\s*:",
    ),
    RewriteKind(
        "docstring",
        "Add a docstring",
        "add a docstring",
        r"\bdocstring|\bdocument(ation)?\b",
        r"^[ \t]*((async )?def|class) \w+",
        r"\"\"\"|'''",
    ),
    RewriteKind(
        "body",
        "Write the body",
        "implement this",
        r"\bimplement|\bbody\b|fill in the function|complete this function|write the code",
        _STUB,
    ),
    RewriteKind(
        "rename", "Rename", "rename {old} to {new}", r"\brename\b|\bcall \S+ \S+|\buse the name\b|\bbe named\b"
    ),
    RewriteKind("default", "Give a default", "let {name} default to {value}", r"\bdefault\b|\boptional,"),
    RewriteKind(
        "parameter", "Add a parameter", "add the parameter {name}", r"\b(parameter|argument)\b|\bshould take\b"
    ),
    RewriteKind("decorator", "Add a decorator", "add @{decorator}", r"@\w|\bdecorat|\ba property\b"),
    RewriteKind(
        "async",
        "Make it async",
        "make it async",
        r"\basync|\bcoroutine\b",
        _HEADER,
        r"^[ \t]*async def ",
    ),
    RewriteKind(
        "comprehension",
        "Use a comprehension",
        "use a comprehension",
        r"\b(use|into|by|as|make this) an? (\w+ )?comprehension|simplify the loop",
        r"(?s)^[ \t]*for\b[^\n]*:\n.*(\.(append|add)\(|\w\[[^\n\]]+\] = )",
    ),
    RewriteKind(
        "loop",
        "Use a loop",
        "use a loop",
        r"\b(use|as|into|by) a (for )?loop|expand the comprehension",
        r"[\[{(][^\n\]})]*\sfor\s[^\n]*\sin\s",
    ),
    RewriteKind(
        "guard",
        "Add a guard",
        "{action} if {condition}",
        r"\bguard: |\badd a check\b|\bguard clause for\b|\bif\b|\b(when|handle)\b",
    ),
    RewriteKind(
        "early-return",
        "Return early",
        "use a guard clause",
        r"\bearly\b|\bguard clause$|\bnesting\b|less indentation",
        r"(?s)^[ \t]*if\b[^\n]*:\n[^\n]*\n[ \t]+\S",
    ),
    RewriteKind(
        "no-else",
        "Remove the unnecessary else",
        "remove the unnecessary else",
        r"\b(remove|drop|no|unnecessary) (the )?(unnecessary )?[\"`]?else\b|else is not needed",
        r"(?s)^[ \t]*(return|raise|continue|break)\b.*^[ \t]*(else|elif)\b",
    ),
    RewriteKind(
        "ternary",
        "Use a conditional expression",
        "use a conditional expression",
        r"\b(use|make|into) (the if/else )?a (conditional expression|ternary)|in one line|on one line|simplify the if",
        r"(?s)^[ \t]*if\b[^\n]*:\n[^\n]*\n[ \t]*else:",
    ),
    RewriteKind(
        "if-else",
        "Use if/else",
        "use if/else",
        r"\buse if/else|\bif statement|\bby if/else|expand the (conditional|ternary)",
        r"\S if \S.*\belse\b",
    ),
    RewriteKind(
        "with",
        "Use a with statement",
        "use a with statement",
        r"\bwith statement|\buse with\b|\bcontext manager|\bwith block|\bby with\b",
        r"= open\(|\.close\(\)|\.acquire\(\)",
        r"^[ \t]*with\b",
    ),
    RewriteKind(
        "try",
        "Handle an exception",
        "handle {exception}",
        r"\b(catch|handle|ignore|suppress|on)\b.* ?\w|\b\w+(Error|Exception)\b",
    ),
    RewriteKind(
        "f-string",
        "Use an f-string",
        "use an f-string",
        r"\b(use|to|into|it|with) (an )?f-?strings?\b",
        r"['\"]\.format\(|['\"] % |['\"] \+ \w|\w \+ ['\"]",
    ),
    RewriteKind(
        "format",
        "Use str.format",
        "use str.format",
        r"\bstr\.format\b|(^|\s)\.format\b|\buse format\b",
        r"\b[fF]['\"]",
    ),
    RewriteKind(
        "percent",
        "Use % formatting",
        "use % formatting",
        r"% (formatting|operator)|\bthe %|\bpercent\b|\buse %",
        r"\b[fF]['\"]|['\"]\.format\(",
    ),
    RewriteKind(
        "idiom",
        "Make it idiomatic",
        "make this idiomatic",
        r"\bidiomatic|pythonic|clean this up|simplify|\bis None\b|\bnot in\b|\bis not\b|augmented|\bsuper\b|isinstance"
        r"|\bchain|\bliteral\b|\b(use|with) `?or\b|\b(bare |use )except|catch Exception|\bis (for )?None|by is\b"
        r"|== None|shorten the assignment|\b(use|with) [-+*/%]=|\buse [\[{(\"']|instead of \w+\(\)",
        _UNIDIOMATIC,
    ),
    RewriteKind(
        "modern-types",
        "Use modern type hints",
        "use modern type hints",
        r"\bmodern|built-in generics|\| None|typing generics|update the annotations|no Optional"
        r"|replace Optional|\| for types",
        r"\b(List|Dict|Set|FrozenSet|Tuple|Type|Optional|Union)\[",
    ),
    RewriteKind(
        "logging",
        "Log instead of printing",
        "use logging instead of print",
        r"\blog(ging|ger)?\b",
        r"^[ \t]*print\(",
    ),
    RewriteKind(
        "debug",
        "Remove the debug output",
        "remove the debug output",
        r"\bdebug|remove the prints",
        r"^[ \t]*(print|pprint|breakpoint)\(|\bset_trace\(",
    ),
    RewriteKind(
        "unused-import",
        "Remove the unused import",
        "remove the unused import",
        r"\bunused import|imported but unused|import that is not used|remove the import",
        r"^[ \t]*(import|from)\s",
    ),
    RewriteKind(
        "commented-out",
        "Remove the commented-out code",
        "remove the commented-out code",
        r"commented-out|dead code|code in comments|clean up the comments|in the comments",
        r"^[ \t]*#.*[=(:.]",
    ),
    RewriteKind(
        "sort-imports",
        "Sort the imports",
        "sort the imports",
        r"\b(sort|order) (the )?imports|imports in order|alphabetical imports|isort",
        r"(?s)^[ \t]*(import|from)\s.*\n[ \t]*(import|from)\s",
    ),
)


def menu_kinds(code: str, listed: Iterable[str] | None) -> list[RewriteKind]:
    """The kinds that a menu offers for `code`, of those that are `listed` (None: all)."""
    names = None if listed is None else set(listed)
    return [kind for kind in KINDS if kind.in_menu and (names is None or kind.name in names) and kind.is_for(code)]


def offered_kinds(listed: Iterable[str]) -> list[dict[str, str]]:
    """The `listed` kinds that need no word of the user's, for an editor's own menu; as plain JSON."""
    names = set(listed)
    kinds = [kind for kind in KINDS if kind.in_menu and kind.name in names]
    return [{"kind": kind.name, "title": kind.title, "instruction": kind.instruction} for kind in kinds]


def kind_of(instruction: str, listed: Iterable[str]) -> str | None:
    """Which listed kind an instruction asks for, by its name or its words; None if it asks for none of them."""
    words = instruction.strip().rstrip(".!?").strip()
    names = list(listed)
    if words.lower() in names:
        return words.lower()
    known = [kind for kind in KINDS if kind.name in names]
    return next((kind.name for kind in known if re.search(kind.asked, words, re.IGNORECASE)), None)


def instruction_of(words: str) -> str:
    """What the model is told: the words as they are, or what a kind's bare name stands for."""
    named = next((kind for kind in KINDS if kind.name == words.strip().lower()), None)
    return named.instruction if named is not None and named.in_menu else words.strip()


def examples(listed: Iterable[str]) -> str:
    """The listed kinds as somebody would ask for them."""
    forms = {kind.name: kind.instruction for kind in KINDS}
    return ", ".join(forms.get(name, name) for name in listed)
