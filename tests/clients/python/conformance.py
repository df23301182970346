"""Holds a running relay against PROTOCOL.md. Prints a line for each check and exits with 1 if one failed."""

import argparse
import asyncio
import os
import shlex
import subprocess
import sys
import traceback

import check_connection
import check_delivery
import check_refusals

RIGHTS = {"TOKEN_A": "all", "TOKEN_B": "all", "TOKEN_NOTHING": "nothing"}
AGENTS = {"TOKEN_A": "conformance-a", "TOKEN_B": "conformance-b", "TOKEN_NOTHING": "conformance-nothing"}


def token(name, command):
    """From the environment, else from the command, which is given the agent and `all` or `nothing`."""
    if name in os.environ:
        return os.environ[name]
    if not command:
        sys.exit(f"{name} is not set and there is no --token-command")
    words = [*shlex.split(command), AGENTS[name], RIGHTS[name]]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


class Relay:
    """Where the relay is and the tokens for it."""

    def __init__(self, url, command):
        self.url = url
        self.a, self.b, self.nothing = (token(name, command) for name in RIGHTS)


async def run(relay, only):
    passed = failed = 0
    for module in (check_connection, check_delivery, check_refusals):
        for name, check in module.checks(relay):
            if only and only not in name:
                continue
            try:
                await asyncio.wait_for(check(), 60)
                passed += 1
                print(f"ok    {name}", flush=True)
            except Exception as error:  # a check may fail in any way; the others still run
                failed += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                print(f"FAIL  {name}: {type(error).__name__}: {error} ({place.name})", flush=True)
    print(f"conformance: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="ws://HOST:PORT/ws")
    parser.add_argument("--token-command", help="prints a token when given an agent and its rights")
    parser.add_argument("--only", help="checks whose name contains this")
    arguments = parser.parse_args()
    return asyncio.run(run(Relay(arguments.url, arguments.token_command), arguments.only))


if __name__ == "__main__":
    sys.exit(main())
