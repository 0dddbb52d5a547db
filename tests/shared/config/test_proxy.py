"""Settings of proxies and embedding: accepted values, and the sentence that refuses any other."""

import pytest

from shared.config.proxy import frame_ancestor, host_name, path_prefix, proxy_network
from shared.config.settings import load_settings
from shared.errors import StudioError


def test_what_is_taken_is_kept_in_one_form() -> None:
    settings = load_settings(
        trusted_proxies=["127.0.0.1", " 10.0.0.0/8", "::1"], path_prefix="/studio/",
        frame_ancestors=["https://WWW.example.com/", "https://*.example.org:8443", "self"],
        allowed_hosts=["Studio.Example.COM.", "[::1]", "192.168.0.7", "b\u00fccher.example", "my_host"],
    )  # fmt: skip
    assert settings.trusted_proxies == ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]
    assert settings.path_prefix == "/studio"
    assert settings.frame_ancestors == ["https://www.example.com", "https://*.example.org:8443", "'self'"]
    assert settings.allowed_hosts == ["studio.example.com", "::1", "192.168.0.7", "xn--bcher-kva.example", "my_host"]
    assert load_settings(path_prefix="/").path_prefix == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("trusted_proxies", each) for each in ("*", "0.0.0.0/0", "::/0", "proxy.example", "10.0.0.1/8", "",
            "10.0.0.0/8, 1.1.1.1")),
        *(("frame_ancestors", each) for each in ("*", "https://a.b/c", "a.b", "https://a.b; script-src *",
            "https://a.b https://c.d", "'none'",
                                                "https://a.b,https://c.d", "http:", "data:", "https://*")),
        *(("allowed_hosts", each) for each in ("https://a.b", "a.b:8750", "a.b/c", "*", "", "a b", "*.a.b", "..")),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence_with_the_setting(name: str, value: str) -> None:
    with pytest.raises(StudioError) as caught:
        load_settings(**{name: [value]})
    assert name in str(caught.value) and "\n" not in str(caught.value) and "give" in str(caught.value)


@pytest.mark.parametrize(
    "value", ["//evil.example", "studio", "/a//b", "/a/..", "/a\nb", "/api", "/watch/x", "/a b", "/a;b"]
)
def test_a_prefix_that_cannot_be_is_one_sentence(value: str) -> None:
    with pytest.raises(StudioError, match="path_prefix"):
        load_settings(path_prefix=value)


@pytest.mark.parametrize("read", [proxy_network, path_prefix, frame_ancestor, host_name])
def test_none_takes_a_line_break_or_a_quote(read: object) -> None:
    for value in ("a\r\nSet-Cookie: b", "/a\r\nb", "https://a.b\r\nc", "'a'", '"'):
        with pytest.raises(ValueError, match="give"):
            assert callable(read) and read(value)
