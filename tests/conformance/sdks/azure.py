# requires: openai==3.54.0
# headers: authorization, api-key, content-type
# differs: header.api-key: Azure documents this header for keys and the SDK's bearer too; its emulator verified both
# differs: header.authorization: the SDK sends the key as a bearer, as said above
"""OpenAI's SDK at `/openai/v1`, as Azure documents it: AzureOpenAI itself knows the dated way alone."""

from compatible import ask, given
from openai import OpenAI

client = OpenAI(base_url=given["origin"] + "/openai/v1/", api_key="emulated-AZURE_OPENAI_API_KEY", max_retries=0)
ask(client, limit="max_completion_tokens")
