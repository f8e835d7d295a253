"""A request that is refused: an HTTP status and the border's error. Left out: in which shape it is sent (app.py)."""

from model.engine import api

# The status of an error that is found only when the request runs, where nothing has been sent yet.
STATUSES = {"loading": 503, "draining": 503, "failed": 503, "queue_full": 429, "internal": 500, "cancelled": 503}


class Refused(Exception):
    """Becomes the whole answer to a request; the message is one sentence."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.error = api.Error(code=code, sentence=sentence)


def refusal_of(error: api.Error) -> Refused:
    """An error event as a refusal; what is not the engine's fault is the request's."""
    return Refused(STATUSES.get(error.code, 400), error.code, error.sentence)
