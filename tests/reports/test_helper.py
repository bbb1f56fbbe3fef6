"""Calls in a second process: what it gives back is what a plain call gives, errors and warnings too, and it ends."""

import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

from reports import helper
from reports.helper import Helper, helping


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "cores", lambda: 2)


def test_a_call_is_made_by_the_process_or_here_with_one_result() -> None:
    with helping(True, "os") as two:
        asked = [two.ask(divmod, number, 7) for number in range(20)]
        assert [two.result(call) for call in reversed(asked)] == [divmod(number, 7) for number in reversed(range(20))]
        assert two.result(asked[0]) == (0, 0)


def test_another_process_makes_it() -> None:
    with helping(True, "os") as two:
        call = two.ask(os.getpid)
        assert call.finished.wait(60)
        assert two.result(call) != os.getpid()


@pytest.mark.parametrize("wanted, count", [(False, 2), (True, 1)])
def test_without_a_process_calls_are_made_here(wanted: bool, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "cores", lambda: count)
    monkeypatch.setattr(helper, "_started", lambda: pytest.fail("no process is wanted"))
    with helping(wanted, "os") as alone:
        assert alone.result(alone.ask(os.getpid)) == os.getpid()


def test_an_error_is_that_of_a_plain_call() -> None:
    with helping(True, "os") as two:
        call = two.ask(int, "seven")
        assert call.finished.wait(60)
        with pytest.raises(ValueError, match="invalid literal for int"):
            two.result(call)
        after = two.ask(int, "7")
        assert after.finished.wait(60) and two.result(after) == 7


def test_a_warning_is_given_here() -> None:
    with helping(True, "os") as two:
        call = two.ask(warnings.warn, "an axis is odd")
        assert call.finished.wait(60)
        with pytest.warns(UserWarning, match="an axis is odd"):
            two.result(call)


@pytest.mark.parametrize("arguments", [(lambda: 1,), (sys.stdout,)])
def test_what_cannot_be_sent_is_made_here(arguments: tuple[object, ...]) -> None:
    with helping(True, "os") as two:
        call = two.ask(id, *arguments)
        assert call.finished.wait(60)
        assert two.result(call) == id(arguments[0])


def test_what_cannot_be_sent_back_is_made_here() -> None:
    with helping(True, "os") as two:
        call = two.ask(compile, "1", "text", "eval")
        assert call.finished.wait(60)
        assert eval(two.result(call)) == 1


def test_what_a_call_prints_is_not_taken_for_a_result() -> None:
    with helping(True, "os") as two:
        call = two.ask(print, "hello")
        assert call.finished.wait(60) and two.result(call) is None


def test_a_process_that_dies_costs_nothing_but_time() -> None:
    with helping(True, "os") as two:
        assert two._process is not None
        first = two.ask(os.getpid)
        assert first.finished.wait(60)
        two._process.kill()
        two._process.wait()
        assert [two.result(two.ask(abs, -number)) for number in range(5)] == list(range(5))


def test_one_that_cannot_be_started_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with helping(True, "os") as alone:
        assert alone.result(alone.ask(abs, -1)) == 1
    monkeypatch.setattr(sys, "executable", "")
    with helping(True, "os") as alone:
        assert alone.result(alone.ask(abs, -1)) == 1


@pytest.mark.parametrize("body", ["import warnings; warnings.warn('old', UserWarning)", "raise ImportError('lost')"])
def test_a_module_that_warns_or_cannot_be_had_costs_no_process_and_prints_nothing(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "troubled.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with helping(True, "troubled") as two:
        call = two.ask(os.getpid)
        assert call.finished.wait(60) and two.result(call) != os.getpid()
    assert capfd.readouterr() == ("", "")


def test_the_process_ends_with_its_block_even_where_that_raises() -> None:
    with pytest.raises(RuntimeError, match="a page"), helping(True, "os") as two:
        process = two._process
        asked = two.ask(abs, -1)
        raise RuntimeError("a page")
    assert process is not None and process.poll() is not None
    assert two.result(asked) == 1


def test_the_process_ends_with_its_caller(tmp_path: Path) -> None:
    """Though the caller is killed while a call is made and has no time to say so."""
    script = tmp_path / "caller.py"
    script.write_text(
        textwrap.dedent("""
            import time
            from reports import helper
            helper.cores = lambda: 2
            with helper.helping(True, "os") as two:
                two.ask(time.sleep, 0.01).finished.wait()
                two.ask(time.sleep, 1.0)
                print(two._process.pid, flush=True)
                time.sleep(60)
        """)
    )
    caller = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    assert int(caller.stdout.readline()) != caller.pid
    caller.kill()
    # Both have standard error: it ends when the last of them has ended. The call's second has passed by then.
    assert caller.communicate(timeout=60) == ("", "")


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "plain.py"
    script.write_text(
        "import math\nfrom reports import helper\nhelper.cores = lambda: 2\nprint('once')\n"
        "with helper.helping(True, 'os') as two:\n    call = two.ask(math.sqrt, 4.0)\n    call.finished.wait()\n"
        "    print(two.result(call))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["once", "2.0"] and done.stderr == ""


def test_one_that_is_closed_at_once_ends_at_once() -> None:
    for _ in range(5):
        with helping(True, "os") as two:
            process = two._process
        assert process is not None and process.poll() is not None and not two._feeder.is_alive()


def test_a_result_that_cannot_be_read_here_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the helper answers with what only it has."""
    with helping(True, "os") as two:
        first = two.ask(abs, -1)
        assert first.finished.wait(60)
        monkeypatch.setattr(helper.Call, "take_over", lambda self, result: int("not to be read"))
        second, third = two.ask(abs, -2), two.ask(abs, -3)
        assert second.finished.wait(60) and third.finished.wait(60)
        assert [two.result(call) for call in (first, second, third)] == [1, 2, 3]


def test_a_closed_helper_goes_on_alone() -> None:
    alone = Helper()
    alone.close()
    assert alone.result(alone.ask(abs, -2)) == 2
