#!/usr/bin/env python3
"""Talks to a node as Python's gRPC does: the code for the client is made from
docs/nemeses.proto, the example of docs/grpc.md is run as it stands there, and reflection,
health, deadlines and refusals are what people's tools expect.

Needs the built program, and runs in the virtual environment that tools/setup.sh makes.
"""

import contextlib
import io
import os
import re
import subprocess
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from servers import ROOT, Api, Site, fail, free_port, get, listens, program

PORT = "127.0.0.1:5001"


def expect(what, found, wanted):
    if found != wanted:
        fail(f"{what}: {found!r}, expected {wanted!r}")


def refusal(call, *args, **more):
    """The code of a call that is refused, and its problem."""
    try:
        call(*args, **more)
    except grpc.RpcError as error:
        return error.code(), dict(error.trailing_metadata()).get("nemeses-problem")
    fail(f"{call} is not refused")


def example(address):
    """The program of docs/grpc.md; its stream ends with the first heartbeat."""
    text = (ROOT / "docs/grpc.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    if PORT not in code:
        fail(f"the example of docs/grpc.md is about another address than {PORT}")
    last = '    print(event.WhichOneof("what"), event.id)\n'
    if not code.endswith(last):
        fail("the example of docs/grpc.md ends otherwise than this check expects")
    code = code.replace(PORT, address) + '    if event.WhichOneof("what") == "heartbeat": break\n'
    said, names = io.StringIO(), {}
    with contextlib.redirect_stdout(said):
        exec(compile(code, "docs/grpc.md", "exec"), names)
    lines = said.getvalue().splitlines()
    expect("the example stores a record and reads its mean", lines[:2], ["1", "21.5"])
    kinds = [line.split()[0] for line in lines[2:]]
    for kind in ("hello", "values", "heartbeat"):
        if kind not in kinds:
            fail(f"the example's stream has no {kind}: {kinds}")
    print(f"the example of docs/grpc.md: {kinds}")


def tools(address, token):
    import nemeses_pb2 as pb
    import nemeses_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        expect("health", health.Check(health_pb2.HealthCheckRequest()).status, 1)
        listing = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        reflected = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(listing, metadata=token)
        services = {service.name for service in next(reflected).list_services_response.service}
        if "nemeses.v1.Telemetry" not in services:
            fail(f"reflection does not list the service: {services}")
        calls = nemeses_pb2_grpc.TelemetryStub(channel)
        unknown = pb.GetLocationRequest(device_id="0A3F99")
        expect("no token", refusal(calls.GetLocation, unknown), (grpc.StatusCode.UNAUTHENTICATED, "unauthorized"))
        expect("an unknown device", refusal(calls.GetLocation, unknown, metadata=token),
               (grpc.StatusCode.NOT_FOUND, "unknown-device"))
        stream = calls.Stream(pb.StreamRequest(), metadata=token, timeout=0.5)
        expect("a deadline", refusal(list, stream)[0], grpc.StatusCode.DEADLINE_EXCEEDED)
    print(f"reflection, health, refusals and deadlines: {sorted(services)}")


def main():
    with Site() as site:
        mqtt, http, calls = free_port(), free_port(), free_port()
        made = site.path("made")
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / 'docs'}", f"--python_out={made}",
                        f"--grpc_python_out={made}", "nemeses.proto"], check=True)
        sys.path.insert(0, str(made))
        site.start("node", program(), "up", "--data-dir", site.path("data"), "--mqtt-listen", f"127.0.0.1:{mqtt}",
                   "--http-listen", f"127.0.0.1:{http}", "--grpc-listen", f"127.0.0.1:{calls}", "--admin-listen", "off")
        site.wait("the node is ready", lambda: get(f"http://127.0.0.1:{http}/readyz"))
        site.wait("gRPC listens", lambda: listens(calls))
        api = Api(http)
        api.register()
        os.environ["TOKEN"] = api.token
        example(f"127.0.0.1:{calls}")
        tools(f"127.0.0.1:{calls}", [("authorization", f"Bearer {api.token}")])


if __name__ == "__main__":
    main()
