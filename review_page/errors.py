"""What the server answers when it cannot do what it was asked: a status and a sentence."""


class RefusedError(ValueError):
    """A request that is answered with an error; ``status`` is HTTP's."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ConflictError(RefusedError):
    """Something that the browser has not seen yet was changed in the meantime."""

    def __init__(self, sentence: str) -> None:
        super().__init__(409, sentence)
