"""What the trainer's tests share: a small disk of their own to fill."""

import subprocess

import pytest


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
