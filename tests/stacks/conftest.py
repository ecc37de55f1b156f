"""Prepares jsii before the first test module imports cdktf."""

from __future__ import annotations

from tests.support.node import use_node

use_node()
