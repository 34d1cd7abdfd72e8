"""How the tests are shared out among processes."""

import pytest


def pytest_collection_modifyitems(items):
    """Begin with the notebooks, which take longest."""
    items.sort(key=lambda item: item.get_closest_marker("notebook") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file together, for its slow fixtures; each notebook goes by itself."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return nodeid if "test_run.py::" in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None
