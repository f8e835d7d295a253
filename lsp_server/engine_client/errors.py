"""The one error of the engine client. Left out: errors of a single request, which the engine streams as events."""

from typing import Literal

Reason = Literal[
    "missing_extras",  # torch and friends are not installed beside this interpreter
    "not_running",  # no engine answers and launching was not asked for
    "runtime_folder",  # the private folder for sockets is unsafe or cannot be made
    "launch_failed",  # the process ended before it answered
    "model_failed",  # the engine runs but could not load the checkpoint
    "crashed",  # the engine died and the request was not answered
    "stays_down",  # three crashes in two minutes
    "foreign_answer",  # something answers on the socket that is not our engine
    "bad_address",  # SEEDLING_ENGINE, or what belongs to it, cannot be understood
    "offline",  # the engine on another machine cannot be reached now
    "bad_token",  # it does not accept the token
    "closed",  # this client was closed
]


class EngineUnavailable(Exception):
    """No engine can be used now. `reason` is for programs, `sentence` for a person (with what to do next)."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: Reason = reason
        self.sentence = sentence
