"""Where Google's models are asked, by whom, and with which token."""

import asyncio
import json
from dataclasses import replace

import pytest
from emulated import emulated, target

from mlaas_lab import errors
from mlaas_lab.inference import Client, Limits, on_loop, resolve
from mlaas_lab.providers.vertex import REGIONS, provider
from mlaas_lab.schema import Message
from mlaas_lab.signing import google, key

ASK = (Message(role="user", content="Grüße an die 世界"),)


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """No words of the environment but those of the test."""
    for name in ("PROJECT", "LOCATION", "REGION"):
        monkeypatch.delenv(f"GOOGLE_CLOUD_{name}", raising=False)
    for name in (google.TOKEN, google.FILE, "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    google._quota_project.cache_clear()


@pytest.mark.parametrize(
    ("region", "host"),
    [
        (None, "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("moon-north1", "moon-north1-aiplatform.googleapis.com"),
    ],
)
@pytest.mark.parametrize("api", [None, "openai"])
def test_the_region_is_in_host_and_path(settings, monkeypatch, region, host, api):
    monkeypatch.setenv(google.TOKEN, "t")
    words = "".join(f"&{name}={value}" for name, value in (("region", region), ("api", api)) if value)
    route = resolve(f"vertex/m?project=p{words}", settings)
    assert route.url.startswith(f"https://{host}/v1/projects/p/locations/{region or 'global'}/")
    assert route.region == (region or "global")


def test_project_and_region_from_the_environment(settings, monkeypatch):
    monkeypatch.setenv(google.TOKEN, "t")
    with pytest.raises(errors.UsageError, match="GOOGLE_CLOUD_PROJECT"):
        resolve("vertex/m", settings)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "example.com:mine")
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "us-east1")
    assert "/projects/example.com%3Amine/locations/us-east1/" in resolve("vertex/m", settings).url
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-east4")
    assert "/locations/us-east4/" in resolve("vertex/m", settings).url
    for words in ("region=evil.org/x", "project=a/../b"):
        with pytest.raises(errors.UsageError, match="is no"):
            resolve(f"vertex/m?{words}", settings)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/publishers/google/models/gemini-2.5-flash:generateContent"),
        ("meta/llama-4", "/publishers/meta/models/llama-4:generateContent"),
        ("publishers/meta/models/llama-4", "/publishers/meta/models/llama-4:generateContent"),
        ("endpoints/123", "/endpoints/123:generateContent"),
        ("gemini@001", "/publishers/google/models/gemini%40001:generateContent"),
    ],
)
def test_models_have_paths(settings, monkeypatch, model, path):
    monkeypatch.setenv(google.TOKEN, "t")
    route = resolve(f"vertex/{model}?project=p", settings)
    assert route.url.endswith(f"/v1/projects/p/locations/global{path}")
    assert route.stream_url == route.url.replace(":generateContent", ":streamGenerateContent?alt=sse")


@pytest.mark.parametrize(
    ("model", "endpoint", "named"),
    [
        ("gemini-2.5-flash", "openapi", "google/gemini-2.5-flash"),
        ("meta/llama-4", "openapi", "meta/llama-4"),
        ("endpoints/123", "123", ""),
    ],
)
def test_chat_completions_name_the_model_in_the_body(model, endpoint, named):
    with emulated("vertex") as server:
        asked = target(server, "vertex", model=model, query="api=openai")
        assert once(resolve_(asked)).text == ASK[0].content
    path = f"/v1/projects/emulated-project/locations/europe-west4/endpoints/{endpoint}/chat/completions"
    assert server.asked[0].target == path
    assert json.loads(server.asked[0].body)["model"] == named


def test_the_key_goes_to_googles_hosts_only(settings, monkeypatch):
    monkeypatch.setenv(google.TOKEN, "t")
    for base_url, at_home in (
        ("https://us-central1-aiplatform.googleapis.com/v1beta1", True),
        ("https://1.us-central1-2.prediction.vertexai.goog/v1", True),
        ("http://us-central1-aiplatform.googleapis.com/v1", False),
        ("https://aiplatform.googleapis.com.evil.org/v1", False),
        ("https://storage.googleapis.com/v1", False),
    ):
        route = resolve(f"vertex/m?project=p&base_url={base_url}", settings)
        assert (route.sign is not None) == at_home, base_url
        assert route.url.startswith(f"{base_url}/projects/p/")


def test_gemini(settings, monkeypatch):
    with pytest.raises(errors.AuthFailed, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
        resolve("gemini/g", settings)
    monkeypatch.setenv("GOOGLE_API_KEY", "k-2")
    assert resolve("gemini/g", settings).sign.keys == ("GOOGLE_API_KEY",)
    monkeypatch.setenv("GEMINI_API_KEY", "k-1")
    route = resolve("gemini/g", settings)
    assert route.sign.keys == ("GEMINI_API_KEY",)
    assert route.url == "https://generativelanguage.googleapis.com/v1/models/g:generateContent"
    assert "/v1/tunedModels/mine:generateContent" in resolve("gemini/tunedModels/mine", settings).url
    beta = resolve("gemini/g?base_url=https://generativelanguage.googleapis.com/v1beta", settings)
    assert beta.sign is not None


def test_regions_are_listed_once():
    assert len(set(REGIONS)) == len(REGIONS) > 40
    assert provider.regions[0] == "global"


def resolve_(asked):
    from mlaas_lab.settings import Preferences

    return resolve(asked, Preferences().settings())


def once(route, *, calls=1, limits=None):
    """The last of some calls by one client."""

    async def ask():
        async with Client(limits or Limits(timeout_s=10, retries=0)) as client:
            return [await client.complete(route, ASK) for _ in range(calls)][-1]

    return on_loop(ask())


@pytest.fixture
def files(monkeypatch, tmp_path):
    """A server that knows two users, and a route that asks it with the credentials of one of them in a file."""
    with emulated("vertex") as server:

        def route(kind, **changed):
            found = {**server._vendor._tokens.files("https://oauth2.googleapis.com")[kind], **changed}
            path = tmp_path / "credentials.json"
            path.write_text(json.dumps(found))
            monkeypatch.setenv(google.FILE, str(path))
            return replace(resolve_(target(server, "vertex")), sign=google.access_token()[1], keys=key)

        yield server, route


@pytest.mark.parametrize("kind", ["service_account", "authorized_user"])
def test_a_file_is_exchanged_for_a_token_once(files, kind):
    server, route = files
    assert once(route(kind), calls=3).text == ASK[0].content
    assert [asked.path for asked in server.asked].count("/token") == 1
    assert len(server.asked) == 4
    assert {asked.headers["Authorization"] for asked in list(server.asked)[1:]} == {"Bearer ya29.emulated-0"}
    payer = "emulated-project" if kind == "authorized_user" else None
    assert server.asked[1].headers.get("x-goog-user-project") == payer


def test_a_token_that_was_revoked_is_asked_for_again(files):
    server, route = files
    asked = route("service_account")

    async def ask():
        async with Client(Limits(timeout_s=10, retries=1)) as client:
            await client.complete(asked, ASK)
            server._vendor._tokens._until.clear()
            server._vendor._tokens._until["another"] = 0.0
            return await client.complete(asked, ASK)

    done = on_loop(ask())
    assert done.text == ASK[0].content
    assert [one.error for one in done.attempts] == ["auth_failed", None]
    assert [one.path for one in server.asked].count("/token") == 2


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("service_account", {"client_email": "other@p.iam.gserviceaccount.com"}),
        ("service_account", {"private_key_id": "another"}),
        ("authorized_user", {"client_secret": "canary-1"}),
        ("authorized_user", {"refresh_token": "canary-2"}),
        ("authorized_user", {"quota_project_id": "other"}),
        ("authorized_user", {"type": "external_account"}),
    ],
)
def test_a_file_that_is_refused(files, kind, changed):
    _, route = files
    asked = route(kind, **changed)
    with pytest.raises(errors.AuthFailed) as caught:
        once(asked)
    told = str(caught.value)
    assert told.startswith("vertex/gemini-2.5-flash")
    assert "\n" not in told
    assert "canary" not in told + repr(caught.value) + repr(caught.value.__dict__)


def test_a_key_pair_that_is_not_the_accounts(files):
    server, route = files
    other = type(server._vendor._tokens)()
    asked = route("service_account", private_key=other.files("https://x")["service_account"]["private_key"])
    with pytest.raises(errors.AuthFailed, match="Invalid JWT Signature"):
        once(asked)


def test_a_refresh_token_that_nobody_hid_would_be_seen(files, monkeypatch):
    """The control: Google repeats the token it refuses."""
    _, route = files
    form = google._form
    monkeypatch.setattr(google, "_form", lambda url, fields, *, secrets: form(url, fields, secrets=()))
    with pytest.raises(errors.AuthFailed, match="canary-2"):
        once(route("authorized_user", refresh_token="canary-2"))


def test_google_says_how_long_to_wait(files):
    server, _ = files
    server.next.append("rate_limited")
    with pytest.raises(errors.RateLimited) as caught:
        once(resolve_(target(server, "vertex")))
    assert caught.value.retry_after_s == 0.05
    assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_calls_at_once_share_one_exchange(files):
    server, route = files
    asked = route("service_account")

    async def ask():
        async with Client(Limits(timeout_s=10, retries=0, concurrency=8)) as client:
            return await asyncio.gather(*(client.complete(asked, ASK) for _ in range(8)))

    assert len(on_loop(ask())) == 8
    assert [one.path for one in server.asked].count("/token") == 1
