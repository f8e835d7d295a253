"""What goes wrong with a checkpoint, as one sentence for the user."""


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)
