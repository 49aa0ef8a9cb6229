"""What every provider keeps: a new file is tested the moment it exists."""

import pytest

from mlaas_lab import errors, registry
from mlaas_lab.providers import Provider
from mlaas_lab.schema import Message, Target
from mlaas_lab.wires import Fault, Faulted, Params, Prompt, Wire

NAMES = registry.names("provider")


@pytest.mark.parametrize("name", NAMES)
class TestProvider:
    def test_it_is_one(self, name):
        provider = registry.load("provider", name)
        assert isinstance(provider, Provider)
        assert isinstance(provider.wire, Wire)
        assert registry.resolve(f"mlaas_lab.providers.{name}").__doc__

    def test_it_has_one_place(self, name):
        provider = registry.load("provider", name)
        target = Target.parse(f"{name}/m")
        for stream in (False, True):
            url = provider.address(target, stream=stream)
            assert (provider.reply is None) == url.startswith("https://")

    def test_errors_have_kinds(self, name):
        provider = registry.load("provider", name)
        for status, kind in ((400, errors.InvalidRequest), (401, errors.AuthFailed), (429, errors.RateLimited)):
            assert provider.error(Fault(message="m"), status) is kind
        assert provider.error(Fault(message="m"), 502) is errors.Overloaded
        assert provider.error(Fault(message="m"), 200) is errors.ProviderBug
        for code, kind in provider.codes.items():
            assert provider.error(Fault(message="m", code=code), 400) is kind

    @pytest.mark.parametrize("stream", [False, True])
    def test_what_answers_here_is_the_same_at_every_split(self, name, stream):
        provider = registry.load("provider", name)
        wire = provider.wire
        prompt = Prompt(model="m", messages=(Message(role="user", content="Grüße 世界"),))
        body = wire.body(prompt, Params(), stream)
        assert body
        if provider.reply is None:
            with pytest.raises(Faulted):
                self.read(wire, stream, b'{"error": {"message": "m", "code": 1}}')
            return
        import orjson

        answer = b"".join(provider.reply(orjson.dumps(body)))
        whole = self.read(wire, stream, answer)
        assert whole[0] == "Grüße 世界"
        for at in range(len(answer)):
            assert self.read(wire, stream, answer[:at], answer[at:]) == whole

    def read(self, wire, stream, *chunks):
        reader = wire.reader(stream)
        text = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
        ending = reader.close()
        return text + ending.text, ending.finish_reason, ending.usage
