from __future__ import annotations

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.operations.prepare import _check_live_names


def test_no_service_has_the_name_of_anothers_candidate() -> None:
    """Callers of `web` would be sent to it."""
    _check_live_names("demo", {"web", "web-live", "demo-live"})
    with pytest.raises(ConfigError, match="cannot be called demo-web-live"):
        _check_live_names("demo", {"web", "demo-web-live"})
