"""A chat as one text, for vendors that complete text instead of answering turns."""

from collections.abc import Sequence

from mlaas_lab.schema import Message

SPEAKERS = {"system": "", "user": "User: ", "assistant": "Assistant: ", "tool": "Tool: "}


def transcript(messages: Sequence[Message]) -> str:
    """`messages` in paragraphs; who speaks is said where there is more than one turn, and the next is the model's."""
    turns = [message for message in messages if message.role != "system"]
    if len(turns) <= 1:
        return "\n\n".join(message.content for message in messages)
    said = [f"{SPEAKERS[message.role]}{message.content}" for message in messages]
    return "\n\n".join([*said, "Assistant:"])
