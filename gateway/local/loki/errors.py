"""What the stand-in refuses."""


class BadRequestError(Exception):
    """A request that Loki would answer with 400; the message is its body, in Loki's words where they are known."""
