"""Runs every scenario and says what passed. Started by ../run; needs only the standard library."""

import argparse
import pathlib
import sys
import tempfile
import time
import traceback

from scenarios import (
    collector, every_answer, every_refusal, every_upstream, own_identity, recipes, refusals, sdks)
from stage import Failure, Stage

SCENARIOS = [*collector.SCENARIOS, *sdks.SCENARIOS, *refusals.SCENARIOS,
             *every_refusal.SCENARIOS, *every_upstream.SCENARIOS, *every_answer.SCENARIOS,
             *own_identity.SCENARIOS, *recipes.SCENARIOS]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", required=True, type=pathlib.Path, help="the program under test")
    parser.add_argument("--certs", type=pathlib.Path, help="a portcullis for `certs` [--gateway]")
    parser.add_argument("--only", default="", help="run the scenarios whose name holds this text")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs")
    args = parser.parse_args()
    gateway = args.gateway.resolve()
    # The Collector itself can be the gateway: that shows that a scenario is sound.
    ours = gateway.name.startswith("portcullis")
    chosen = [s for s in SCENARIOS if args.only in s.name and (ours or not s.ours_only)]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="portcullis-interop-"))
    passed, failed = 0, 0
    with Stage(folder, gateway, (args.certs or gateway).resolve()) as stage:
        for scenario in chosen:
            started = time.monotonic()
            try:
                scenario.run(stage)
                passed += 1
                verdict = "ok"
            except Failure as failure:
                failed += 1
                verdict = f"FAILED: {failure}"
            except Exception:
                failed += 1
                verdict = f"FAILED: {traceback.format_exc()}"
            print(f"{scenario.name} ... {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
        if failed:
            stage.print_logs()
    if failed or args.keep:
        print(f"interop: logs and configurations are in {folder}")
    else:
        stage.remove()
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
