# requires: openai==3.54.0
# headers: authorization, content-type
"""Tencent's compatible hosts through OpenAI's SDK, as the vendor documents it."""

from compatible import ask, given
from openai import OpenAI

client = OpenAI(api_key="emulated-TENCENT_API_KEY", base_url=f"{given['base_url']}/v1", max_retries=0)
ask(client)
