"""Names and paths of a project."""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.files.layout import Layout, container_name, network_name


def test_names_of_the_default_and_other_projects() -> None:
    """The default project's network is `iacnet`; others are prefixed."""
    assert network_name("iacnet") == "iacnet"
    assert network_name("demo") == "iacnet-demo"
    assert container_name("demo", "web", "envoy") == "demo-web-envoy"
    layout = Layout(Path("/p"))
    assert layout.outdir("iacnet") == Path("/p/cdktf.out")
    assert layout.outdir("demo") == Path("/p/.iac/projects/demo/cdktf.out")
