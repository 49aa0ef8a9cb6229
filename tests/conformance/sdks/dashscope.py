# requires: openai==3.54.0
# headers: authorization, content-type
"""Model Studio's compatible way in through OpenAI's SDK, as the vendor documents it."""

from compatible import ask, given
from openai import OpenAI

client = OpenAI(api_key="emulated-DASHSCOPE_API_KEY", base_url=f"{given['base_url']}/compatible-mode/v1", max_retries=0)
ask(client)
