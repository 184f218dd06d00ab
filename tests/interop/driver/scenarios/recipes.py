"""A published recipe for the Collector, run with the gateway: same file, same certificates."""

from scenarios.sdks import NODE, PYTHON, WANTED, arrived, emit
from stage import COLLECTOR, HERE, Scenario, check, command, eventually

RECIPES = HERE / "recipes"


def _recipe(stage):
    certs = stage.folder / "recipe"
    certs.mkdir()
    made = command([RECIPES / "make-certs.sh", certs])
    check(made.returncode == 0, made.stderr)
    grpc, http, behind_grpc, behind_http = (stage.port() for _ in range(4))
    env = {
        "CERTS": str(certs), "SINK": stage.sink.url,
        "BACKEND_GRPC": f"localhost:{behind_grpc}", "BACKEND_HTTP": f"localhost:{behind_http}",
    }
    backend = stage.start("recipe-backend", COLLECTOR, RECIPES / "backend.yaml", [behind_grpc, behind_http], env=env)
    # The file stays as it is; only its ports could be taken.
    free_ports = [
        "--set", f"receivers.otlp.protocols.grpc.endpoint=127.0.0.1:{grpc}",
        "--set", f"receivers.otlp.protocols.http.endpoint=127.0.0.1:{http}",
        "--set", "service.telemetry.metrics.level=none",
    ]
    checked = command([stage.gateway_program, "validate", f"--config={RECIPES / 'gateway.yaml'}"], env)
    check(checked.returncode == 0, f"validate: {checked.stdout}{checked.stderr}")
    gate = stage.start(
        "recipe-gateway", stage.gateway_program, RECIPES / "gateway.yaml", [grpc, http], free_ports, env)

    for program, protocol, port in ((PYTHON, "grpc", grpc), (NODE, "proto", http)):
        # The client's certificate is X.509 v1 where OpenSSL is older than 3.2.
        run, done = emit(stage, program, protocol, port, "client", certs, ca=certs / "ca.crt")
        check(done.returncode == 0, f"the SDK ended with {done.returncode}: {done.stdout}{done.stderr}")
        # The backend's own queue may still hold it.
        try:
            eventually("all items at the far end", lambda run=run: arrived(stage, run) == WANTED, 15)
        finally:
            if arrived(stage, run) != WANTED:
                print(f"arrived: {arrived(stage, run)}")
    for running in (gate, backend):
        check(running.stop() == 0, f"{running.name} ended with {running.process.returncode}")


SCENARIOS = [Scenario("recipe: a published Collector configuration with its openssl certificates", _recipe)]
