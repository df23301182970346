"""Checks the API document of a running relay, then has schemathesis call the relay by it: what the document allows, what
it does not, and that each answer is one that it names."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests
from openapi_spec_validator import validate

HERE = Path(__file__).parent
url, token = os.environ["RELAY_URL"], os.environ["RELAY_TOKEN"]

document = requests.get(f"{url}/v1/openapi.json", timeout=10).json()
validate(document)
calls = sum(len(methods) for methods in document["paths"].values())
print(f"a valid OpenAPI {document['openapi']} document of {calls} calls", flush=True)

run = [
    sys.executable, "-m", "schemathesis.cli",
    "--config-file", str(HERE / "schemathesis.toml"),
    "run", f"{url}/v1/openapi.json",
    "--header", f"Authorization: Bearer {token}",
    "--no-color",
    # The same calls each time: what fails in CI fails here.
    "--seed", "20261121", "--generation-deterministic",
]
environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
# What the tool remembers of a run goes with the folder.
with tempfile.TemporaryDirectory(prefix="relay-tests-api-") as folder:
    ended = subprocess.run(run, env=environment, cwd=folder, check=False)
sys.exit(ended.returncode)
