"""In which words an edit is asked for: several paraphrases a kind, with the haste and the manners of people.

Three in ten begin with a capital, one in ten is polite, one in twelve has a typing mistake. Source: this project's
own wording. Left out: other languages than English.
"""

import re
from collections.abc import Mapping
from random import Random

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "fix": ("fix the bug", "fix this", "fix the mistake", "correct the code", "find and fix the error", "repair this"),
    "syntax-error": ("fix the syntax error", "fix: invalid syntax", "syntax error"),
    "undefined-name": ("{name} is not defined", "fix the undefined name {name}", 'fix: "{name}" is not defined'),
    "type-hints": (
        "add type hints",
        "add type annotations",
        "annotate the types",
        "type the signature",
        "add types to the parameters and the return value",
    ),
    "docstring": (
        "add a docstring",
        "write a docstring",
        "document this",
        "add documentation",
        "explain in a docstring what this does",
    ),
    "rename": (
        "rename {old} to {new}",
        "rename `{old}` to `{new}`",
        "call {old} {new}",
        "use the name {new} instead of {old}",
        "{old} should be named {new}",
    ),
    "body": (
        "implement this",
        "implement {name}",
        "write the body",
        "write the body of {name}",
        "fill in the function",
        "complete this function",
        "write the code",
    ),
    "default": (
        "let {name} default to {value}",
        "give {name} the default {value}",
        "{name} should default to {value}",
        "add the default {value} to {name}",
        "make {name} optional, {value} by default",
    ),
    "parameter": (
        "add the parameter {name}",
        "add a parameter {name}",
        "add the argument {name}",
        "take {name} as a parameter",
        "give {function} a parameter {name}",
        "{function} should take {name}",
    ),
    "decorator": (
        "add @{decorator}",
        "decorate it with {decorator}",
        "add the decorator {decorator}",
        "use @{decorator} here",
        "add the {decorator} decorator to {name}",
    ),
    "property": ("make it a property", "make {name} a property", "turn this into a property", "use @property"),
    "async": (
        "make it async",
        "make this asynchronous",
        "use async/await",
        "turn this into a coroutine",
        "add async and await",
    ),
    "comprehension": (
        "use a comprehension",
        "use a {type} comprehension",
        "turn the loop into a {type} comprehension",
        "replace the loop by a comprehension",
        "write the loop as a comprehension",
        "make this a {type} comprehension",
        "simplify the loop",
    ),
    "loop": (
        "use a loop",
        "use a for loop",
        "write it as a loop",
        "turn the comprehension into a loop",
        "expand the comprehension",
        "replace the comprehension by a for loop",
        "use a loop instead of the comprehension",
    ),
    "guard": (
        "{action} if {condition}",
        "add a guard: {action} if {condition}",
        "add a check: {action} if {condition}",
        "when {condition}, {action}",
        "first {action} if {condition}",
        "add a guard clause for {condition}",
        "handle {condition}",
    ),
    "early-return": (
        "use an early {action}",
        "use a guard clause",
        "{action} early",
        "reduce the nesting",
        "invert the condition and {action} early",
        "flatten this with an early {action}",
        "less indentation",
    ),
    "no-else": (
        "remove the unnecessary else",
        "remove the else",
        "no else after {action}",
        "drop the else after {action}",
        'unnecessary "else" after "{action}"',
        "the else is not needed",
    ),
    "ternary": (
        "use a conditional expression",
        "use a ternary",
        "write the if/else in one line",
        "make the if/else a conditional expression",
        "put this on one line",
        "simplify the if/else",
    ),
    "if-else": (
        "use if/else",
        "write it as an if statement",
        "expand the conditional expression",
        "expand the ternary",
        "replace the conditional expression by if/else",
        "use an if statement instead of the ternary",
    ),
    "with": (
        "use with",
        "use a with statement",
        "use a context manager",
        "make this a with block",
        "use with instead of {close}",
        "open it in a with statement",
    ),
    "with-lock": (
        "use with",
        "use a with statement",
        "use the lock as a context manager",
        "replace acquire and release by with",
        "hold the lock in a with block",
    ),
    "try": (
        "{action} on {exception}",
        "on {exception}, {action}",
        "catch {exception} and {action}",
        "{action} if there is a {exception}",
        "handle {exception}",
        "catch {exception}",
    ),
    "try-pass": (
        "ignore {exception}",
        "ignore a {exception} here",
        "catch {exception} and ignore it",
        "suppress {exception}",
        "pass on {exception}",
        "catch {exception}",
    ),
    "f-string": (
        "use an f-string",
        "use f-strings",
        "convert to an f-string",
        "turn this into an f-string",
        "make it an f-string",
        "format with an f-string",
    ),
    "format": (
        "use str.format",
        "use .format",
        "use format instead of an f-string",
        "convert the f-string to str.format",
        "no f-string, use format",
    ),
    "percent": (
        "use % formatting",
        "use the % operator",
        "use percent formatting instead of an f-string",
        "convert the f-string to % formatting",
        "no f-string, use %",
    ),
    "is-none": ("use `is None`", "compare with None by is", "use is for None", "do not compare with == None"),
    "not-in": ("use not in", "use `not in`", "simplify the negation", "write x not in y"),
    "is-not": ("use is not", "use `is not`", "simplify the negation", "write x is not y"),
    "augmented": ("use augmented assignment", "use {operator}", "shorten the assignment", "write it with {operator}"),
    "super": ("use super() without arguments", "use super()", "simplify super", "use the short form of super"),
    "isinstance": ("use one isinstance call", "merge the isinstance calls", "pass a tuple to isinstance"),
    "chain": ("chain the comparison", "chain the comparisons", "use a chained comparison", "simplify the comparison"),
    "literal": ("use a literal", "use {literal}", "use {literal} instead of {call}", "write it as a literal"),
    "or": ("use or", "simplify with or", "shorten this with or", "use `or` for the default"),
    "bare-except": ("do not use bare except", "catch Exception", "no bare except", "use except Exception"),
    "idiom": ("make this idiomatic", "make it more pythonic", "clean this up", "simplify this", "idiomatic python"),
    "modern-types": (
        "use modern type hints",
        "modernize the type hints",
        "use modern type syntax",
        "use built-in generics",
        "update the annotations",
        "no typing generics",
    ),
    "optional": (
        "use | None",
        "use X | None instead of Optional",
        "replace Optional",
        "no Optional",
        "use | for types",
    ),
    "logging": (
        "use {logger} instead of print",
        "log this at {level} level",
        "use logging, level {level}",
        "replace print by {logger}.{level}",
        "{logger}.{level} instead of print",
        "log it as {level}",
    ),
    "debug": (
        "remove the debug output",
        "remove the prints",
        "remove the debug prints",
        "delete the debugging code",
        "no debug output",
        "clean up the debug statements",
    ),
    "unused-import": (
        "remove the unused import",
        "remove unused imports",
        "delete the import that is not used",
        '"{name}" imported but unused',
        "remove the import of {name}",
        "fix: {name} imported but unused",
    ),
    "commented-out": (
        "remove the commented-out code",
        "delete commented-out code",
        "remove the dead code",
        "remove code in comments",
        "clean up the comments",
        "delete the old code in the comments",
    ),
    "sort-imports": (
        "sort the imports",
        "sort imports",
        "order the imports",
        "put the imports in order",
        "alphabetical imports",
        "isort",
    ),
}
_POLITE = ("please {}", "{} please", "{}, please", "can you {}?", "could you {}", "pls {}")


def phrase(asks: str, words: Mapping[str, str], rng: Random) -> str:
    """One of the instructions of a key, with `words` in it."""
    form = rng.choice(INSTRUCTIONS[asks])
    if rng.random() < 1 / 12:
        form = _mistyped(form, rng)
    if form[0] not in '{"' and rng.random() < 0.1:
        form = rng.choice(_POLITE).replace("{}", form)
    if form[0] not in '{"' and rng.random() < 0.3:
        form = form[0].upper() + form[1:]
        if "{" not in form and form[-1] not in "?.":
            form += rng.choice(("", "."))
    return form.format(**words)


def _mistyped(form: str, rng: Random) -> str:
    """The form with two letters of one longer word exchanged, or one lost or doubled; names in it stay as they are."""
    words = list(re.finditer(r"(?<![\w{`@.(])[a-z]{5,}(?![\w}`.(])", form))
    if not words:
        return form
    word = rng.choice(words)
    at = rng.randrange(word.start() + 1, word.end() - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return form[:at] + form[at + 1] + form[at] + form[at + 2 :]
    return form[:at] + (form[at] * 2 if kind == 1 else "") + form[at + 1 :]
