# requires: openai==3.54.0
# headers: authorization, content-type
"""One chat completion of Vertex AI by OpenAI's SDK, as Google documents it: a token for a key, the model with its publisher."""

from compatible import ask, given
from openai import OpenAI

place = f"projects/{given['words']['project']}/locations/{given['words']['region']}/endpoints/openapi"
client = OpenAI(api_key="emulated-GOOGLE_ACCESS_TOKEN", base_url=f"{given['base_url']}/{place}", max_retries=0)
ask(client, model=f"google/{given['model']}")
