"""Runs the server until it is asked to stop. The service is text in, text out: no generated code.

``greeter.Greeter/SayHello`` takes a name and answers with a greeting, both UTF-8.
"""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


def say_hello(name: str, _context: grpc.ServicerContext) -> str:
    print(f"greeting {name}", flush=True)
    return f"Hello, {name}!"


def serve(port: int) -> None:
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    handler = grpc.unary_unary_rpc_method_handler(
        say_hello, request_deserializer=bytes.decode, response_serializer=str.encode
    )
    greeter = grpc.method_handlers_generic_handler("greeter.Greeter", {"SayHello": handler})
    server.add_generic_rpc_handlers((greeter,))

    status = health.HealthServicer()
    status.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)

    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"greeter listens on 127.0.0.1:{port}", flush=True)

    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=5))
    server.wait_for_termination()


if __name__ == "__main__":
    serve(int(os.environ["PORT"]))
