"""A project with one notebook, for each test its own."""

import pytest
from projects import make_project


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)
