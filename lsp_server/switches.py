"""What the user has switched off until the editor ends: everything for a while, one document, one language.

Source: Copilot's and Zed's snooze and per-language toggles. A switch never outlives the session and writes nothing to
disk; what should last belongs into the settings. Left out: cutting what runs already (session.py), the commands
(handlers/commands.py).
"""

import glob
import time
from collections.abc import Callable, Iterable

import msgspec

from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.settings import Settings
from lsp_server.snapshot import Trigger
from lsp_server.uris import display_path, file_key, folder_of

MAX_SNOOZE_MINUTES = 60 * 24 * 365
_DAY_S = 86_400


class Switches:
    """The switches of one session. `now_s` tells seconds since the epoch."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self.now_s = now_s
        self._until_s = 0.0
        self._documents_off: dict[tuple[str, ...], str] = {}
        self._languages_off: set[str] = set()

    @property
    def snoozed_until_s(self) -> float | None:
        """When the snooze ends, in seconds since the epoch; None outside one."""
        # The wall clock, not the loop's: a laptop that slept through the snooze has slept it off.
        return self._until_s if self._until_s > self.now_s() else None

    def snooze(self, minutes: float) -> None:
        """No ghost text unasked for so long from now on; 0 ends the snooze."""
        self._until_s = self.now_s() + 60 * min(minutes, MAX_SNOOZE_MINUTES) if minutes > 0 else 0.0

    def set_document(self, uri: str, *, on: bool) -> None:
        """Switches a document off or on again, with a cell its notebook; it need not be open."""
        if on:
            self._documents_off.pop(file_key(uri), None)
        else:
            self._documents_off[file_key(uri)] = uri

    def set_language(self, language: str, *, on: bool) -> None:
        """Switches a language off or on again. What the settings switch off stays off."""
        (self._languages_off.discard if on else self._languages_off.add)(language)

    def restrict(self, settings: Settings, uri: str, folder_uris: Iterable[str]) -> Settings:
        """The settings by which other documents may be quoted in `uri`: not those that are switched off."""
        if not self._documents_off and not self._languages_off:
            return settings
        folders = tuple(folder_uris)
        # Nothing is quoted across workspace folders, and what has the same path in another one is another file.
        home = folder_of(uri, folders)
        off = (other for other in self._documents_off.values() if folder_of(other, folders) == home)
        paths = ("/" + glob.escape(display_path(other, folders)) for other in off)
        return msgspec.structs.replace(
            settings,
            exclude=(*settings.exclude, *paths),
            languages_off=(*settings.languages_off, *sorted(self._languages_off)),
        )

    def refusal(self, uri: str, language: str, trigger: Trigger) -> Outcome | None:
        """Why a request for this document is not answered, or None. A snooze is for what comes unasked only."""
        if file_key(uri) in self._documents_off:
            return nothing(Reason.DOCUMENT_OFF)
        if language in self._languages_off:
            return nothing(Reason.LANGUAGE_OFF, language)
        until_s = self.snoozed_until_s
        if until_s is not None and trigger == "automatic":
            shape = "%H:%M" if until_s - self.now_s() < _DAY_S else "%Y-%m-%d %H:%M"
            return nothing(Reason.SNOOZED, f"until {time.strftime(shape, time.localtime(until_s))}")
        return None
