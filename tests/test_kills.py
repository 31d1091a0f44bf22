"""SIGKILL at random moments loses nothing but the time since the last whole file."""

import pytest

from tests.support.kills import kill_jobs


@pytest.mark.slow
def test_ten_kills_at_random_moments(tmp_path):
    """For a hundred: python -m tests.support.kills --kills 100 --job training (or another)."""
    counts = kill_jobs(10, 0, tmp_path)
    assert sum(count.killed for count in counts.values()) == 10
