# requires: openai==3.54.0
# headers: authorization, content-type
"""OpenAI's SDK, which OpenRouter documents as a way to it."""

from compatible import ask, given
from openai import OpenAI

client = OpenAI(base_url=given["base_url"], api_key="emulated-OPENROUTER_API_KEY", max_retries=0)
ask(client)
