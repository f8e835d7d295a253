"""A request's body as a struct: to these protocols' clients 5.0 is a whole number, as it is to JSON Schema.

Left out: reading the body (the app's door).
"""

from typing import TypeVar

import msgspec

from model.engine.refusal import Refused

T = TypeVar("T")


def read_as(body: msgspec.Raw, shape: type[T]) -> T:
    """Raises Refused with a sentence about the first thing that does not fit."""
    try:
        return msgspec.convert(_DECODER.decode(body), shape)
    except msgspec.ValidationError as error:
        raise Refused(400, "bad_request", f"The request does not fit: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(400, "bad_request", "The request is not valid JSON.") from None


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**63 else value


_DECODER = msgspec.json.Decoder(float_hook=_number)
