"""A subscription to a topic, and what its subscribers get."""

from websockets.sync.client import ClientConnection

from tests.wire.sockets import receive

NOTES = "subscription($topic:String!,$after:Int){notes(topic:$topic,after:$after){sequence text row}}"


def note(number: int, text: str) -> dict[str, object]:
    """The payload of a note."""
    return {"data": {"notes": {"sequence": number, "text": text, "row": number * 10}}}


def next_of(client: ClientConnection, id_: str) -> object:
    """The payload of the next message, which has to be a result of this operation."""
    message = receive(client)
    assert (message["type"], message["id"]) == ("next", id_), message
    return message["payload"]
