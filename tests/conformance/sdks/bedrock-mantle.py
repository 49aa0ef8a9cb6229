# requires: openai==3.54.0
# headers: authorization, content-type
# differs: body.stream_options: we ask for the usage of a stream, the SDK leaves it to its caller
"""Bedrock's OpenAI-compatible door by OpenAI's own client, as AWS documents it."""

from compatible import ask, given
from openai import OpenAI

client = OpenAI(api_key="emulated-AWS_BEARER_TOKEN_BEDROCK", base_url=f"{given['base_url']}/v1", max_retries=0)
ask(client, counted=False)
