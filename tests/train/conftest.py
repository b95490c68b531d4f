"""What the trainer's tests share: a small disk of their own to fill, and an end to what they have started."""

import subprocess

import pytest

from tests.train.ranks_at_work import processes


@pytest.fixture(scope="module")
def no_process_is_left(tmp_path_factory):
    yield
    for process in processes(tmp_path_factory.getbasetemp()):
        process.kill()


@pytest.fixture
def disk(tmp_path):
    """disk(megabytes): the folder of a new disk of that size. Skips where mounting is not allowed."""
    folder = tmp_path / "disk"

    def mounted(megabytes):
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        tried = subprocess.run(command, capture_output=True, text=True)
        if tried.returncode:
            pytest.skip(f"a small disk can't be mounted here: {tried.stderr.strip()}")
        return folder

    yield mounted
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)
