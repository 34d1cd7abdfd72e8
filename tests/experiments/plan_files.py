"""Experiment files of a project: read, and refused."""

import pytest

from lle_utils.experiments import planning


def read(project, text):
    """Write an experiment file and read it."""
    path = project / "plan.yml"
    path.write_text(text)
    return planning.read_experiment(path, project)


def check_refused(project, text, message):
    """Check that a file is refused, by its name and with a message."""
    with pytest.raises(planning.ExperimentError) as caught:
        read(project, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(project / "plan.yml"))
