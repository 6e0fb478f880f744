"""One report for all who draw it: judging takes longer than drawing."""

from __future__ import annotations

import pytest

from mirclr.evaluation.card import Report
from tests.support.report_card import judge, knowing


@pytest.fixture(scope="session")
def report() -> Report:
    """Two trained encoders on a made-up collection, one of which knows its labels."""
    return judge(tables={"clever": knowing(1), "noisy": knowing(0)})
