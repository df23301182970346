"""Keeps a run from ending itself: it would revoke the token that it calls with."""

import schemathesis


@schemathesis.hook
def map_body(context, body):
    if context.operation.path == "/v1/revoke" and isinstance(body, dict) and body.get("everyone") is True:
        return {**body, "tenant": "nobody"}
    return body
