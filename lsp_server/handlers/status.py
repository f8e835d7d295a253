"""Telling the editor how things are: `didChangeStatus` (Copilot's shape) and work-done progress while the engine loads.

Once the engine is ready the status is about the focused document too (`textDocument/didFocus`; without it, the one that
asked last): `Inactive` with the lasting reason why it gets no ghost text, as `message`, `reason` and `uri`. It is
worked out when something changes, and after an answer only where that contradicts it: no flapping while one types.
Left out: progress (progress.py).
"""

from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.features.lasting import lasting_refusal
from lsp_server.features.quiet import Asked
from lsp_server.features.rewrite_kinds import offered_kinds
from lsp_server.handlers.progress import Progress
from lsp_server.outcome import LASTING, Outcome, Reason, nothing
from lsp_server.positions import Position
from lsp_server.snapshot import Document, Snapshot
from lsp_server.uris import display_path, document_key

if TYPE_CHECKING:
    from lsp_server.engine_link import EngineState
    from lsp_server.server import SeedlingServer

_KINDS = {"absent": "Inactive", "loading": "Normal", "ready": "Normal", "offline": "Warning", "failed": "Error"}
_REPORTED = frozenset({"kind", "busy", "message", "rewrite", "rewriteKinds"})
# Answers that nobody saw say nothing about how completion is going.
_UNSEEN = frozenset({Reason.STALE, Reason.SUPERSEDED, Reason.CANCELLED, Reason.CLOSED})


class StatusReporter:
    """Turns the session's state into notifications; equal ones are not repeated. Loop thread only."""

    def __init__(self, server: "SeedlingServer") -> None:
        self._server = server
        self._progress = Progress(server)
        self._last_sent: dict[str, Any] | None = None
        self._uri: str | None = None
        self._client_tells_focus = False
        self._last_outcome: Outcome | None = None
        self._said_offline = False

    def show(self, state: "EngineState") -> None:
        """The engine is in a new state. That it cannot be reached is said aloud once; the status says it on and on."""
        self.refresh()
        self._progress.show(state)
        if not self._said_offline and (state.kind == "offline" or state.is_stand_in):
            self._said_offline = True
            message = types.ShowMessageParams(types.MessageType.Warning, f"Seedling: {state.sentence}")
            self._server.window_show_message(message)

    def focused(self, uri: str | None) -> None:
        """The editor has given a document the focus, or none."""
        self._client_tells_focus = True
        self._uri = uri
        self.refresh()

    def answered(self, uri: str, outcome: Outcome) -> None:
        """A request was answered."""
        if outcome.reason in _UNSEEN:
            return
        self._last_outcome = outcome
        is_other = self._uri is None or document_key(uri) != document_key(self._uri)
        if self._client_tells_focus and is_other:
            return
        lasting = outcome.reason.slug if outcome.reason is not None and outcome.reason in LASTING else None
        if is_other or lasting != (self._last_sent or {}).get("reason"):
            self._uri = uri
            self.refresh()

    def refresh(self) -> None:
        """Works the status out anew, and sends it if it is another one."""
        if self._server.session.engine.state.kind == "absent":
            return  # nobody has begun to reach for it: the session is just starting
        status = self._status()
        if status != self._last_sent:
            self._last_sent = status
            self._server.protocol.notify("didChangeStatus", status)

    def switched(self) -> None:
        """Something was switched off or on: whoever did it does not want the answer that is just being written."""
        self._server.session.cut_where(self._why_off)
        self.refresh()

    def report(self, uri: str | None = None) -> dict[str, Any]:
        """Everything for a person who asks why nothing is shown, in the document `uri` or the one in focus."""
        session = self._server.session
        capabilities = session.engine.state.capabilities
        report = {
            **{name: value for name, value in self._status().items() if name in _REPORTED},
            "model": None if capabilities is None else capabilities.model,
            "device": None if capabilities is None else capabilities.device,
            "languages": [] if capabilities is None else list(capabilities.languages),
        }
        if session.switches.snoozed_until_s is not None:
            report["snoozedUntilS"] = session.switches.snoozed_until_s
        uri = self._uri if uri is None else uri
        if uri is not None:
            report["document"] = {"uri": uri, **_words(self._refusal(uri))}
        if self._last_outcome is not None:
            report["last"] = _words(self._last_outcome)
        return report

    def _status(self) -> dict[str, Any]:
        session = self._server.session
        state = session.engine.state
        status = {
            "busy": state.kind == "loading",
            "message": state.sentence,
            "kind": "Warning" if state.is_stand_in else _KINDS[state.kind],
        }
        if session.settings_for(self._uri or "").next_edit_enable:
            status["nextEdit"] = True  # so that no editor asks at every pause for what is switched off
        if state.capabilities is not None:
            # What may be asked in words: so that no editor opens an input box for a model that rewrites nothing.
            kinds = offered_kinds(state.capabilities.edits_listed if state.capabilities.rewrite == "listed" else ())
            status |= {"rewrite": state.capabilities.rewrite, "rewriteKinds": kinds}
        refused = self._refusal(self._uri)
        if state.kind != "ready" or refused is None or refused.reason is None or refused.reason not in LASTING:
            return status
        about = {} if self._uri is None else {"uri": self._uri}
        return {**status, "message": refused.sentence, "kind": "Inactive", "reason": refused.reason.slug, **about}

    def _refusal(self, uri: str | None) -> Outcome | None:
        session = self._server.session
        document = None if uri is None else session.document(uri)
        if uri is None or document is None:
            snoozed = session.switches.refusal("", "", "automatic")
            return snoozed if snoozed is not None or uri is None else nothing(Reason.NOT_OPEN)
        return self._refusal_of(document)

    def _refusal_of(self, document: Document) -> Outcome | None:
        session = self._server.session
        path = display_path(document.uri, session.client.folders)
        is_ignored = session.is_ignored(document)
        snapshot = Snapshot(document=document, cursor=Position(0, 0), path=path, is_ignored=is_ignored)
        settings = session.settings_for(document.uri)
        return lasting_refusal(Asked(snapshot, settings, session.engine.state), session.switches)

    def _why_off(self, document: Document) -> Reason | None:
        refused = self._refusal_of(document)
        return None if refused is None else refused.reason


def _words(outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None or outcome.reason is None:
        return {"reason": None, "sentence": ""}
    return {"reason": outcome.reason.slug, "sentence": outcome.sentence}
