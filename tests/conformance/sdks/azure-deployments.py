# requires: openai==3.54.0
# headers: authorization, api-key, content-type
"""OpenAI's SDK for Azure, with a dated version."""

from compatible import ask, given
from openai import AzureOpenAI

client = AzureOpenAI(
    azure_endpoint=given["origin"],
    api_version="2024-10-21",
    api_key="emulated-AZURE_OPENAI_API_KEY",
    max_retries=0,
)
ask(client)
