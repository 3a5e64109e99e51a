"""A cluster for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines.cluster import Cluster, cluster_of


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield a cluster of two workers."""
    with cluster_of(tmp_path_factory.mktemp("cluster"), workers=2) as started:
        yield started
