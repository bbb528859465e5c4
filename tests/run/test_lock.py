"""One process at a time works on a run; the second is told who has it, and a lock ends with its process."""

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from saelib.run import lock
from saelib.run.files import PROJECT, cache_folder, write_json
from saelib.run.lock import HELD, RunInUseError, hold, hold_for_children, writing
from saelib.run.reading import read_json
from tests.helpers.hold_run import can_hold, command, held_by_another
from tests.helpers.small_run import SmallRun


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run that is not there yet."""
    return tmp_path / "runs" / "mine"


def note_of(folder: Path) -> Path:
    return folder.parent / ".locks" / "mine.json"


def test_the_second_process_is_told_who_has_the_run(folder: Path) -> None:
    with held_by_another(folder) as other:
        with pytest.raises(RunInUseError) as refused, hold(folder):
            raise AssertionError("two processes hold one run")
        message = str(refused.value)
        assert message.startswith(f"run 'mine' is in use by process {other.pid} on ")
        assert "-m tests.helpers.hold_run " in message
        assert message.endswith("wait until it ends, stop it, or name another run")
        assert not folder.exists()
    assert can_hold(folder)


@pytest.mark.parametrize("note", ["", "{", "3", "null", "[]", '{"process": 1}'])
def test_without_a_whole_note_the_holder_is_another_process(folder: Path, note: str) -> None:
    with held_by_another(folder):
        note_of(folder).write_text(note)
        with pytest.raises(RunInUseError, match="in use by another process: wait"), hold(folder):
            pass


def test_a_killed_process_leaves_no_lock(folder: Path) -> None:
    with held_by_another(folder) as other:
        other.kill()
    assert read_json(note_of(folder))["process"] == other.pid
    with hold(folder):
        assert read_json(note_of(folder))["process"] == os.getpid()


def test_a_run_may_be_held_again_inside(folder: Path) -> None:
    with hold(folder):
        with hold(folder), hold(folder):
            assert not can_hold(folder)
        assert not can_hold(folder)
        assert read_json(note_of(folder))["process"] == os.getpid()
    assert can_hold(folder)
    assert not note_of(folder).exists()
    assert not folder.exists()


def test_an_error_inside_frees_the_run(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), hold(folder), hold(folder):
        raise KeyboardInterrupt
    assert can_hold(folder)
    assert not note_of(folder).exists()


def test_runs_side_by_side_do_not_know_of_each_other(folder: Path) -> None:
    with held_by_another(folder), hold(folder.with_name("other")):
        assert not can_hold(folder.with_name("other"))


def test_a_link_leads_to_the_same_lock(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    with hold(folder):
        assert not can_hold(tmp_path / "link")


def test_programs_that_a_batch_run_starts_may_hold_its_run_and_others_may_not(folder: Path) -> None:
    with hold_for_children(folder):
        assert can_hold(folder)
        assert not can_hold(folder, **{HELD: ""})  # as in a shell beside
        with held_by_another(folder.with_name("other")):
            assert not can_hold(folder.with_name("other"))
    assert HELD not in os.environ
    assert can_hold(folder)


def test_a_batch_run_inside_another_gives_the_run_back_to_it(folder: Path) -> None:
    with hold_for_children(folder):
        with hold_for_children(folder.with_name("inner")):
            assert can_hold(folder.with_name("inner"))
        assert can_hold(folder)
        with hold_for_children(folder):
            assert can_hold(folder)


def test_a_program_that_outlives_its_batch_run_holds_the_run_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_by_another(folder) as batch:
        monkeypatch.setenv(HELD, batch.told)
        with hold(folder), hold(folder):
            assert read_json(note_of(folder))["process"] == batch.pid
            assert len([*(note_of(folder).parent / "mine.programs").glob("*.lock")]) == 1
        assert not [*(note_of(folder).parent / "mine.programs").iterdir()]
        batch.kill()
        with hold(folder):
            assert read_json(note_of(folder))["process"] == os.getpid()
            assert not can_hold(folder)
    with held_by_another(folder) as next_batch, pytest.raises(RunInUseError, match=str(next_batch.pid)), hold(folder):
        pass


def test_where_a_batch_run_is_killed_alone_the_next_one_waits_for_its_programs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook that goes on would write its last state into the files of the next batch run."""
    monkeypatch.setattr(lock, "LAST_SECONDS", 0.2)
    with held_by_another(folder) as batch:
        monkeypatch.setenv(HELD, batch.told)
        with held_by_another(folder) as program:
            batch.kill()
            with hold(folder):  # started by the same one
                assert not (note_of(folder).parent / "mine.lock").stat().st_size
            monkeypatch.delenv(HELD)
            with pytest.raises(RunInUseError, match=f"in use by process {program.pid} on "), hold(folder):
                pass
            assert not note_of(folder).exists()
            monkeypatch.setattr(lock, "LAST_SECONDS", 60)
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(can_hold, folder)
                time.sleep(0.5)
                assert not waiting.done()
                program.kill()
                assert waiting.result()
    assert not [*(note_of(folder).parent / "mine.programs").iterdir()]


def test_where_no_note_can_be_written_the_run_is_free_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(lock, "write_json", full)
        with hold(folder):
            pass
    assert can_hold(folder)


def test_where_no_lock_can_be_made_the_full_disk_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="free some space and run again") as raised:
        patch.setattr(os, "open", full)
        with hold(folder):
            pass
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(note_of(folder).with_suffix(".lock"))
    assert can_hold(folder)


def test_what_a_killed_process_was_writing_goes_when_the_next_one_holds_the_run(folder: Path) -> None:
    half, cached = folder / "saes" / ".cfg.json.x1.temporary", cache_folder() / ".rows.x2.temporary"
    for file in (half, cached):
        file.parent.mkdir(parents=True, exist_ok=True)
    with hold(folder):
        half.touch()
        cached.touch()
        with hold(folder):
            assert half.exists()  # it is being written
    with hold(folder):
        assert not half.exists()
        assert cached.exists()  # other runs write there
    os.utime(cached, (time.time() - 2 * 24 * 60 * 60,) * 2)
    with hold(folder):
        assert not cached.exists()


def test_a_batch_run_is_refused_as_others_are(folder: Path) -> None:
    with held_by_another(folder), pytest.raises(RunInUseError), hold_for_children(folder):
        pass
    assert HELD not in os.environ


def test_of_many_that_begin_at_once_one_holds_the_run(folder: Path) -> None:
    processes = [
        subprocess.Popen(command(folder), cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip
    # The holder waits for the end of its input, which comes after the others have given up.
    deadline = time.monotonic() + 60
    while len(refused := [process for process in processes if process.poll() is not None]) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    said = [process.communicate() for process in refused]
    (holder,) = set(processes) - set(refused)
    assert holder.communicate()[0].startswith("held ")
    assert [out for out, _ in said] == [""] * 3
    assert all(error.startswith("run 'mine' is in use by") for _, error in said)


def test_whoever_writes_holds_the_run_and_claims_its_folder(folder: Path) -> None:
    run = SmallRun(folder)
    with writing(run):
        assert read_json(folder / "config.json") == run.config.as_dict() | {"inputs": {}}
        assert not can_hold(folder)
    assert can_hold(folder)
    with pytest.raises(FileExistsError, match="seed was 0, is 1"), writing(SmallRun(folder, seed=1)):
        pass
    assert can_hold(folder)


def test_a_refused_process_leaves_nothing_in_the_folder(folder: Path) -> None:
    with held_by_another(folder):
        with pytest.raises(RunInUseError), writing(SmallRun(folder)):
            write_json(folder / "result.json", 1)
        assert not folder.exists()


def test_threads_of_one_process_hold_together(folder: Path) -> None:
    def hold_often(_: int) -> None:
        for _ in range(50):
            with hold(folder):
                assert note_of(folder).is_file()

    with hold(folder), ThreadPoolExecutor(4) as pool:
        list(pool.map(hold_often, range(4)))
    assert not note_of(folder).exists()


@pytest.mark.parametrize(
    ("there", "new"),
    [("Mine", "mine"), ("mine", "MINE"), ("gro\u00dfe", "gro\u00dfE"), ("re\u0301", "r\u00e9"), ("mine.", "mine")],
)
def test_two_names_that_may_be_one_folder_are_no_two_runs(tmp_path: Path, there: str, new: str) -> None:
    (tmp_path / there).mkdir()
    with hold(tmp_path / there):
        pass
    with pytest.raises(FileExistsError, match="name another run") as refused, hold(tmp_path / new):
        pass
    assert f"run={new!r}: run {there!r} is there" in str(refused.value)
    (tmp_path / new).mkdir()  # on a file system that tells them apart, both may be there from before
    with hold(tmp_path / new):
        pass


WITHOUT_FCNTL = """
import sys
sys.modules |= {"fcntl": None, "resource": None}
import saelib
from pathlib import Path
from saelib.run.lock import RunInUseError, hold
try:
    with hold(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
except RunInUseError as error:
    print(error)
"""


def test_without_fcntl_the_lock_is_a_file(folder: Path) -> None:
    """As where Python has no `fcntl`; on Windows filelock locks by `msvcrt`."""
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_FCNTL, str(folder)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout and first.stdout.readline() == "held\n"
        second = subprocess.run(command, cwd=PROJECT, input="", capture_output=True, text=True, check=True)
        assert second.stdout.startswith("run 'mine' is in use by process ")
        first.communicate()
    third = subprocess.run(command, cwd=PROJECT, input="", capture_output=True, text=True, check=True)
    assert third.stdout == "held\n"
