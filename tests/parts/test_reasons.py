"""Why a tracker does not answer: its own words, on one line, without what is secret."""

import pytest

from parts.machinery.reasons import masked_reason


def test_a_reason_shows_neither_passwords_nor_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ada:pa%40ss-word@mlflow.example.org/x")
    monkeypatch.setenv("SITE_COMET_KEY", "SENTINEL0KEY\r\n")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok-en-1234")
    said = masked_reason(
        ConnectionError(
            "https://ada:pa%40ss-word@mlflow.example.org/x and postgresql://bob:se-cret@db/"
            " refused\n  'pa@ss-word' SENTINEL0KEY tok-en-1234 http://to-ken@host/ \u00fc"
        )
    )
    for secret in ("pa%40ss", "pa@ss", "se-cret", "SENTINEL", "tok-en", "to-ken", "\n"):
        assert secret not in said
    assert said.startswith(
        "https://***@mlflow.example.org/x and postgresql://***@db/ refused '***'"
    )
    assert said.isascii()


def test_a_reason_is_there_and_short() -> None:
    assert masked_reason(TimeoutError()) == "TimeoutError"
    assert len(masked_reason(ValueError("x" * 10**5))) < 800
    assert masked_reason(ValueError("http://127.0.0.1:5000/api: refused")) == (
        "http://127.0.0.1:5000/api: refused"
    )
