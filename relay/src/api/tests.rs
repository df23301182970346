//! The document has every path, and says what they take.

use serde_json::Value;

use super::document;

#[test]
fn the_document_names_every_call() {
    let document: Value = serde_json::from_str(document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            calls.push(format!("{method} {path}"));
            let open = path == "/v1/openapi.json";
            assert_eq!(call["responses"].get("401").is_none(), open, "{method} {path}");
        }
    }
    calls.sort();
    let expected = [
        "delete /v1/keys/{id}",
        "get /v1/agents",
        "get /v1/agents/{agent}",
        "get /v1/info",
        "get /v1/keys",
        "get /v1/openapi.json",
        "get /v1/presence",
        "get /v1/sessions/{session}",
        "get /v1/tenants/{tenant}",
        "patch /v1/tenants/{tenant}",
        "post /v1/broadcast",
        "post /v1/disconnect",
        "post /v1/keys",
        "post /v1/publish",
        "post /v1/revoke",
    ];
    assert_eq!(calls, expected);
}
