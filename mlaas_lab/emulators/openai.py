"""OpenAI's chat completions, with its own key and nothing that OpenAI does not know."""

from mlaas_lab.emulators import Emulator
from mlaas_lab.emulators._openai_chat import KNOWN, Chat

emulator = Emulator(
    title="OpenAI", vendor=lambda: Chat(key="OPENAI_API_KEY", known=KNOWN), base="/v1", model="gpt-4.1-mini"
)
