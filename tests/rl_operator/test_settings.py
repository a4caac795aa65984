"""Flags, variables and the key file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rl_operator.settings import BadSettings, Settings, read_key, read_settings


@pytest.fixture(autouse=True)
def outside_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def read(folder: Path, *flags: str, **environment: str) -> Settings:
    return read_settings(["--key-file", str(folder / "key"), *flags], environment)


def test_a_flag_stands_over_a_variable_over_the_default(tmp_path: Path) -> None:
    assert read(tmp_path).concurrency == 4
    assert read(tmp_path, RLP_OPERATOR_CONCURRENCY="7").concurrency == 7
    assert read(tmp_path, "--concurrency", "9", RLP_OPERATOR_CONCURRENCY="7").concurrency == 9
    assert read(tmp_path, RLP_OPERATOR_CONCURRENCY="").concurrency == 4, "set to nothing is not set"


def test_namespaces_are_a_list_with_commas(tmp_path: Path) -> None:
    assert read(tmp_path).namespaces == ()
    assert read(tmp_path, "--namespaces", "a, b,").namespaces == ("a", "b")
    with pytest.raises(BadSettings, match=r"--namespaces=a b: .*no name of a namespace"):
        read(tmp_path, "--namespaces", "a b")


def test_every_field_but_the_key_is_a_flag_and_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read(tmp_path, "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in Settings.model_fields:
        assert (f"--{name.replace('_', '-')} " in text) == (name != "token_key")


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        read(tmp_path, "--reach", "magic", "--drain-grace-seconds", "0", RLP_OPERATOR_PORT="x")
    assert {it.partition(":")[0] for it in str(caught.value).splitlines()} == {
        "--reach=magic",
        "--drain-grace-seconds=0",
        "RLP_OPERATOR_PORT=x",
    }


def test_outside_a_cluster_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "key"
    key = read_key(file, create=True)
    assert len(key) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_key(file, create=True) == key
    assert read_key(tmp_path / "another", create=True) != key


def test_inside_a_cluster_a_key_that_is_absent_or_short_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="can't be read: No such file"):
        read_key(tmp_path / "absent", create=False)
    short = tmp_path / "short"
    short.write_text("fifteen bytes..\n")
    with pytest.raises(BadSettings, match="holds 15 bytes; at least 16"):
        read_key(short, create=False)
    assert not (tmp_path / "absent").exists()


def test_tokens_follow_from_key_and_uid_and_are_not_shown(tmp_path: Path) -> None:
    settings = read(tmp_path)
    again = read(tmp_path)
    (tmp_path / "other").mkdir()
    assert settings.token("a") == again.token("a") != settings.token("b")
    assert read(tmp_path / "other").token("a") != settings.token("a")
    key = (tmp_path / "key").read_text()
    assert key not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_head_pods_are_reached_through_the_api_server_from_outside(tmp_path: Path) -> None:
    assert read(tmp_path).reach == "proxy"
    assert read(tmp_path, "--reach", "direct").reach == "direct"
    assert read(tmp_path).lease_namespace == "default"
    assert read(tmp_path, "--operator-namespace", "here").lease_namespace == "here"
