"""One gateway before many upstreams: a way in for each exporter, all tried at the same time."""

import concurrent.futures
import dataclasses
import json

import payload
from stage import CACHE, Program, check, eventually


@dataclasses.dataclass
class Tried:
    """The gateway's program, and what the sender was told, by exporter."""
    program: object
    told: dict

    def check(self, exporter, reason, texts, status=503):
        """That log and sender were told of its failure in these words."""
        got, body = self.told[exporter]
        check(got == status, f"the sender was told {got}: {body}")
        record = eventually(f"the line of the failed export of {exporter}", lambda: self._line(exporter))
        check(record["reason"] == reason, f"the reason is {record['reason']}: {record}")
        message = json.loads(body)["message"]
        for text in (f"exporter {exporter}", *texts):
            check(text in message, f"the sender is not told {text!r}: {message}")
            check(text in record["error"], f"no {text!r} in {record}")

    def _line(self, exporter):
        for line in self.program.text().splitlines():
            record = json.loads(line) if line.startswith("{") else {}
            if record.get("exporter") == exporter and "items" in record:
                return record
        return None


def attempt(stage, name, exporters):
    """Sends through each of `exporters`: YAML of their blocks by id."""
    entrances, receivers, blocks, lines = {}, "", "", ""
    for exporter, block in exporters.items():
        key = exporter.replace("/", "-")
        entrances[exporter] = stage.port()
        receivers += f"  otlp/{key}: {{protocols: {{http: {{endpoint: 'localhost:{entrances[exporter]}'}}}}}}\n"
        blocks += f"  {exporter}: {{{block}}}\n"
        lines += f"    traces/{key}: {{receivers: [otlp/{key}], exporters: [{exporter}]}}\n"
    telemetry = "  telemetry: {metrics: {level: none}, logs: {encoding: json, sampling: {enabled: false}}}\n"
    config = f"receivers:\n{receivers}exporters:\n{blocks}service:\n{telemetry}  pipelines:\n{lines}"
    program = stage.start(name, stage.gateway_program, config, list(entrances.values()))
    with concurrent.futures.ThreadPoolExecutor(len(entrances)) as pool:
        answers = pool.map(lambda port: payload.post(port, "traces", "unusable"), entrances.values())
        return Tried(program, dict(zip(entrances, answers)))


def node_servers(stage):
    """Ports of the servers of upstreams.mjs, by what they do."""
    def start(stage):
        back = stage.pki.back
        program = Program("node-upstreams", [
            "node", CACHE / "node/upstreams.mjs", back / "server.crt", back / "server.key"], stage.folder, [])
        stage.programs.append(program)
        return json.loads(program.wait_for_line("{"))
    return stage.once("servers of Node.js", start)
