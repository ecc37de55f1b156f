"""What a sidecar that cannot start leaves in its log, as one sentence."""

from __future__ import annotations

import pytest

from iac_wrapper.operations.stuck import envoys_reason

ASSERT = """\
[2026-11-27 10:00:00.000][12][critical][assert] [source/common/filesystem/inotify/watcher_impl.cc:24] assert failure: inotify_fd_ >= 0. Details: Consider increasing value of user.max_inotify_watches via sysctl
[2026-11-27 10:00:00.000][12][critical][backtrace] [./source/server/backtrace.h:113] Caught Aborted, suspect faulting address 0x53900000006
[2026-11-27 10:00:00.000][12][critical][backtrace] [./source/server/backtrace.h:97] Backtrace (use tools/stack_decode.py to get line numbers):
[2026-11-27 10:00:00.000][12][critical][backtrace] [./source/server/backtrace.h:104] #0: [0x7f3c2a1]
sidecar: envoy ended (SIGABRT) after 0.1 s; its reason is above
sidecar: envoy failed 5 times in a row, giving up"""  # noqa: E501 - as Envoy writes it

CRASH = ASSERT.replace("inotify_fd_ >= 0. Details: Consider", "x >= 0. See").replace("inotify", "x")

REFUSED = """\
sidecar: requests go to 127.0.0.1:5000
sidecar: cannot read /etc/iac/tls/tls.key as uid 20001: Permission denied"""

CONFIG = """\
[2026-11-27 10:00:00.000][9][critical][main] [source/server/server.cc:423] error initializing config '  /run/iac/envoy.yaml': Protobuf message has unknown fields
sidecar: envoy ended (exit 1) after 0.1 s; its reason is above"""  # noqa: E501 - as Envoy writes it


@pytest.mark.parametrize(
    ("log", "sentence", "step"),
    [
        (ASSERT, "the kernel's limit of inotify instances is used up", "sysctl"),
        (CRASH, "assert failure: x >= 0. See", ""),
        (REFUSED, "cannot read /etc/iac/tls/tls.key as uid 20001: Permission denied", ""),
        (CONFIG, "error initializing config '  /run/iac/envoy.yaml': Protobuf message has", ""),
        ("sidecar: envoy ended (exit 1) after 0.1 s; its reason is above", "", ""),
    ],
)
def test_the_reason_is_a_sentence(log: str, sentence: str, step: str) -> None:
    """Never a backtrace; with the line that says so."""
    text, line, what_to_do = envoys_reason(log.splitlines())
    assert text.startswith("its Envoy ")
    assert sentence in text
    assert "0x" not in text
    assert bool(sentence) == bool(line)
    assert what_to_do.startswith(step)
