"""The user's part of a traceback, and nothing where only installed code took part."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

from rl_platform.cli.own_code import own_traceback
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.workers.worker_losses import RemoteTraceback


def raised(code: str, file: str) -> BaseException:
    try:
        exec(compile(code, file, "exec"), {"json": json})
    except Exception as error:  # noqa: BLE001 - whatever the code raises
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this file
        return error
    raise AssertionError("it raises")


def test_it_begins_with_the_first_line_of_the_users_code(tmp_path: Path) -> None:
    file = tmp_path / "arm.py"
    file.write_text("json.loads('{')")
    trace = own_traceback(raised(file.read_text(), str(file)))
    first, where = trace.splitlines()[:2]
    assert first == "Traceback (most recent call last):"
    assert str(file) in where
    assert trace.rstrip().splitlines()[-1].startswith("json.decoder.JSONDecodeError: ")


def test_code_of_libraries_and_compiled_extensions_is_not_the_users() -> None:
    assert own_traceback(raised("json.loads('{')", "pyarrow/error.pxi")) == ""
    assert own_traceback(raised("json.loads('{')", "<frozen importlib._bootstrap>")) == ""
    assert own_traceback(raised("1 / 0", json.__file__)) == ""
    assert own_traceback(None) == ""


def test_it_is_the_same_where_another_process_has_written_it_down(tmp_path: Path) -> None:
    file = tmp_path / "arm.py"
    file.write_text("def start():\n    raise OSError('no licence\\n\\nfile')\nstart()")
    here = raised(file.read_text(), str(file))
    fault = EnvironmentFault("environment 'arm' number 0, start")
    fault.__cause__ = here
    told = RemoteTraceback("".join(traceback.format_exception(fault)))
    again = EnvironmentFault(str(fault))
    again.__cause__ = told
    assert own_traceback(again).rstrip() == own_traceback(here).rstrip() != ""
    again.__cause__ = RemoteTraceback("Traceback (most recent call last):\nOSError: gone")
    assert own_traceback(again) == ""


def test_the_way_through_the_platform_to_an_error_raised_on_purpose_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "algorithm.py"
    file.write_text("from rl_platform.models.net import Layout, Param\nLayout([Param('w', (1,))] * 2)")
    here = raised(file.read_text(), str(file))
    told = RemoteTraceback("".join(traceback.format_exception(here)))
    for error in (here, told):
        trace = own_traceback(error).rstrip()
        assert trace.count("  File ") == 1
        assert trace.splitlines()[-1].startswith(f"{type(here).__name__}: ")


def test_a_recursion_without_end_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "deep.py"
    file.write_text("def deep(n):\n    return deep(n + 1)\ndeep(0)")
    trace = own_traceback(raised(file.read_text(), str(file)))
    assert trace.splitlines()[-1].startswith("RecursionError: ")
    assert trace.count(f'File "{file}"') >= 2


def test_causes_that_go_round_in_a_circle_end() -> None:
    error = ValueError("mine")
    error.__cause__ = error
    assert own_traceback(error) == ""


def test_an_endless_message_is_shown_in_part(tmp_path: Path) -> None:
    file = tmp_path / "arm.py"
    file.write_text("raise ValueError('begin' + 'x' * 10**6 + 'end')")
    here = raised(file.read_text(), str(file))
    for error in (here, RemoteTraceback("".join(traceback.format_exception(here)))):
        trace = own_traceback(error)
        assert len(trace) < 20_200
        assert str(file) in trace
        assert "ValueError: beginx" in trace
        assert trace.rstrip().endswith("xend")
