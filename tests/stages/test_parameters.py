"""What is checked before anything else runs; tests/stages/test_graph.py does so through DVC."""

import os
from pathlib import Path

import pytest

from digits.common.parameters_file import ParameterError
from stages.parameters import refuse_what_dvc_cannot_read


def test_a_pipe_among_images_is_told_before_dvc_waits_for_its_writer(tmp_path: Path) -> None:
    (tmp_path / "one.png").touch()
    (tmp_path / "two.png").symlink_to("one.png")
    refuse_what_dvc_cannot_read(tmp_path)
    os.mkfifo(tmp_path / "three.png")
    with pytest.raises(ParameterError, match=r"/three\.png is no regular file; "):
        refuse_what_dvc_cannot_read(tmp_path)
    with pytest.raises(ParameterError, match=r"/three\.png is no regular file; "):
        refuse_what_dvc_cannot_read(tmp_path / "three.png")


def test_a_name_that_is_no_text_is_told_with_its_path(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).touch()
    with pytest.raises(ParameterError) as error:
        refuse_what_dvc_cannot_read(tmp_path)
    assert str(error.value) == rf"{tmp_path}/\udcff.png has a name that is not UTF-8; rename it"
