"""What a network may believe of a canvas, for tests of runs without one."""

from model.diffusion.labels import align_labels
from model.tokenizer import DEL, EOM


def believes(text, *, p=0.9, ends=True):
    """Beliefs of a network that knows the canvas text: canvas place → token, then `<eom>`, then surplus."""

    def beliefs(request):
        said = {}
        for ask in request.asks:
            place = request.first_position + ask.index
            after = EOM if place == len(text) and ends else DEL
            said[ask.index] = {text[place] if place < len(text) else after: p}
        return said

    return beliefs


def knows_labels(x):
    """Beliefs of a network that gives every row its training label against the clean block x."""

    def beliefs(request):
        labels = align_labels(request.tokens, request.states, x)
        return {i: {label: 0.97} for i, label in enumerate(labels)}

    return beliefs
