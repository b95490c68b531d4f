import os
from dataclasses import replace
from pathlib import Path

import pytest

from medqa import datasets, uploads
from medqa.datasets.rows import DatasetError
from medqa.runs import Run
from medqa.settings import Settings
from medqa.spec import RunSpec
from medqa.uploads import UploadError


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path / "runs", max_upload_megabytes=1)


@pytest.fixture
def ward_round(tmp_path):
    """ward_round(stems): somebody's own file that asks these."""

    def write(*stems, name="ward round.csv"):
        path = tmp_path / name
        path.write_text("question,A,B,answer\n" + "".join(f"{stem},x,y,B\n" for stem in stems))
        return path

    return write


def names(settings):
    return sorted(path.name for path in (settings.runs / ".uploads").glob("*"))


def stems(held_out, count):
    return [s for s in (f"Case {n}?" for n in range(999)) if datasets._is_held_out(s) == held_out][:count]


def test_an_upload_is_kept_under_what_it_holds_and_gives_the_questions_a_run_would_have(settings, ward_round):
    upload = uploads.keep(ward_round(*stems(False, 4), *stems(True, 2)), settings)
    assert (len(upload.train.questions), len(upload.held_out.questions)) == (4, 2)
    assert names(settings) == [upload.name]
    path = uploads.located(upload.name, settings)
    assert [question.stem for question in datasets.load(path).questions] == stems(False, 4)


def test_a_name_that_is_no_upload_is_left_as_it_is(settings):
    assert uploads.located("handbook", settings) == "handbook"


def test_a_file_that_is_there_already_is_not_touched_as_a_run_may_be_reading_it(settings, ward_round):
    first = uploads.keep(ward_round(*stems(False, 3)), settings)
    kept = Path(uploads.located(first.name, settings))
    before = kept.stat()
    again = uploads.keep(ward_round(*stems(False, 3), name="the same.CSV"), settings)
    assert again.name == first.name
    after = kept.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_cannot_be_used_is_not_kept_and_its_own_name_is_told(settings, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("name,room\nAda,1\n")
    with pytest.raises(DatasetError, match=r"^notes has the columns name, room"):
        uploads.keep(path, settings)
    assert names(settings) == []


def test_a_file_with_nothing_to_train_on_is_refused(settings, ward_round):
    with pytest.raises(DatasetError, match=r"^ward round.csv has no usable question in train"):
        uploads.keep(ward_round(*stems(True, 2)), settings)


def test_a_file_with_nothing_held_out_is_kept_as_a_run_can_be_trained_on_it(settings, ward_round):
    upload = uploads.keep(ward_round(*stems(False, 3)), settings)
    assert (len(upload.train.questions), upload.held_out.questions) == (3, ())
    assert names(settings) == [upload.name]


def test_key_numbers_are_read_as_they_are_said_to_count(settings, tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("question,A,B,C,answer\n" + f"{stems(False, 1)[0]},x,y,z,1\n")
    with pytest.raises(DatasetError, match="cop_base=0"):
        uploads.keep(path, settings)
    assert uploads.keep(path, settings, cop_base=0).train.questions[0].key == "B"


def test_too_large_a_file_is_refused_before_it_is_read(settings, tmp_path):
    path = tmp_path / "large.csv"
    path.write_bytes(b"\xff" * (2**20 + 1))
    with pytest.raises(UploadError, match=r"large.csv is larger than 1 MB. Upload fewer rows"):
        uploads.keep(path, settings)


def test_more_questions_than_a_visitor_may_train_on_are_refused(settings, ward_round):
    with pytest.raises(UploadError, match="has 3 questions to train on; on this public page there can be at most 2"):
        uploads.keep(ward_round(*stems(False, 3)), settings, most_questions=2)
    assert names(settings) == []


def test_when_the_folder_is_full_no_more_is_kept_but_what_is_there_can_be_had_again(settings, ward_round):
    first = uploads.keep(ward_round(*stems(False, 3)), settings)
    with (settings.runs / ".uploads" / "large.csv").open("wb") as file:
        file.truncate(uploads.LARGEST_FILES * 2**20)
    before = names(settings)
    with pytest.raises(UploadError, match=r"other.csv can't be kept: the server's folder of uploads is full \(20 MB\)"):
        uploads.keep(ward_round(*stems(False, 4), name="other.csv"), settings)
    assert names(settings) == before
    assert uploads.keep(ward_round(*stems(False, 3)), settings).name == first.name


def test_a_visitors_file_of_far_too_many_rows_is_refused_unread(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "load_parts", lambda *file: pytest.fail("read"))
    path = tmp_path / "rows.csv"
    path.write_text("question,A,B,answer\n" + "1,,,\n" * 100)
    with pytest.raises(UploadError, match=r"^rows.csv has far more questions .* there can be at most 3\."):
        uploads.keep(path, settings, most_questions=3)


def test_on_a_public_page_the_oldest_that_no_run_needs_make_room(settings, ward_round):
    public = replace(settings, public=True)
    needed, oldest = (uploads.keep(ward_round(*stems(False, n)), public).name for n in (3, 4))
    run = Run(settings.runs / "quick-1")
    run.folder.mkdir()
    run.write_spec(RunSpec(name="quick-1", dataset=uploads.located(needed, public)))
    with (settings.runs / ".uploads" / "large.csv").open("wb") as file:
        file.truncate(uploads.LARGEST_FILES * 2**20 - 200)
    for i, name in enumerate((needed, oldest, "large.csv")):
        os.utime(settings.runs / ".uploads" / name, (i, i))
    newest = uploads.keep(ward_round(*stems(False, 5)), public).name
    assert names(public) == sorted([needed, "large.csv", newest])


def test_what_a_visitors_ended_run_was_made_from_goes_after_the_rest_and_the_hosts_never(settings, ward_round):
    public = replace(settings, public=True)
    kept = {
        name: uploads.keep(ward_round(*stems(False, n)), public).name for n, name in enumerate(("ended", "host"), 3)
    }
    for name, file in kept.items():
        run = Run(settings.runs / name)
        run.folder.mkdir()
        run.write_spec(RunSpec(name=name, dataset=uploads.located(file, public)))
    Run(settings.runs / "ended").visitor_file.touch()
    unneeded = uploads.keep(ward_round(*stems(False, 5)), public).name
    for i, name in enumerate((*kept.values(), unneeded)):
        os.utime(settings.runs / ".uploads" / name, (i, i))
    folder = settings.runs / ".uploads"
    sizes = {name: (folder / name).stat().st_size for name in (*kept.values(), unneeded)}
    uploads._forget_unneeded(sizes[kept["ended"]] + sizes[kept["host"]], public)
    assert names(public) == sorted(kept.values())
    uploads._forget_unneeded(0, public)
    assert names(public) == [kept["host"]]


def test_a_visitors_file_of_more_lines_than_are_read_while_others_wait_is_refused(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "load_parts", lambda *file: pytest.fail("read"))
    monkeypatch.setattr(uploads, "MOST_LINES", 50)
    path = tmp_path / "rows.csv"
    path.write_text("question,A,B,answer\n" + "1,,,\n" * 50)
    with pytest.raises(UploadError, match=r"^rows.csv has more than 50 lines"):
        uploads.keep(path, settings, most_questions=1000)


def test_a_disk_that_is_full_is_told_and_leaves_no_half_file(settings, ward_round, monkeypatch):
    def full(source, target):
        Path(target).write_text("question,A")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(uploads.shutil, "copyfile", full)
    with pytest.raises(UploadError, match=r"ward round.csv can't be kept on the server: No space left on device"):
        uploads.keep(ward_round(*stems(False, 3)), settings)
    assert names(settings) == []


def test_a_folder_of_runs_that_cannot_be_written_is_told(settings, ward_round):
    settings.runs.write_text("a file")
    with pytest.raises(UploadError, match="can't be kept on the server: Not a directory"):
        uploads.keep(ward_round(*stems(False, 3)), settings)


@pytest.mark.parametrize(
    "text",
    [
        "question,answer\n1,A\n2,A\n3,A",
        "question,answer\r1,A\r2,A\r3,A",
        '[{"q": 1}, {"q": 2}, {"q": 3}]',
        "{}\n{}\n{}\n",
    ],
)
def test_a_files_rows_are_never_counted_too_few(tmp_path, text):
    (tmp_path / "file").write_text(text, newline="")
    assert 3 <= uploads.most_rows(tmp_path / "file") <= 4
