//! The HTTP API of a relay, called as a program calls it.

use anyhow::Context;
use relay_loadtest::token::Grants;
use serde_json::Value;

use crate::Fleet;
use crate::http::{self, Response};

/// The tenant whose administrators are operators, in fleets that name it.
pub const OPERATORS: &str = "operators";

/// Somebody who calls.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it shows.
    pub token: String,
}

impl Program {
    /// An agent that may send anywhere in its tenant.
    pub fn plain(fleet: &Fleet, tenant: &str, agent: &str) -> anyhow::Result<Program> {
        Ok(Program { token: fleet.cluster.minter().identity(tenant, agent)?.token })
    }

    /// An administrator of a tenant.
    pub fn admin(fleet: &Fleet, tenant: &str) -> anyhow::Result<Program> {
        let minter = fleet.cluster.minter();
        let mut claims = minter.claims(tenant, "admin");
        claims.relay = Grants { admin: true, ..Grants::all() };
        Ok(Program { token: minter.sign(&claims)? })
    }

    /// Calls the relay of that number.
    pub async fn call(
        &self,
        fleet: &Fleet,
        instance: usize,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        self.call_with(fleet, instance, (method, path), body, "").await
    }

    /// The same, with further headers, each ended by a line's end.
    pub async fn call_with(
        &self,
        fleet: &Fleet,
        instance: usize,
        (method, path): (&str, &str),
        body: Option<Value>,
        headers: &str,
    ) -> anyhow::Result<Answer> {
        let (address, token) = (fleet.address(instance), &self.token);
        let said = match body {
            None => "\r\n".to_owned(),
            Some(body) => {
                let body = body.to_string();
                format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            }
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{headers}{said}"
        );
        let response = http::ask(address, request.as_bytes()).await?;
        let response = response.with_context(|| format!("{method} {path}: closed without an answer"))?;
        let body = if response.body.is_empty() { Value::Null } else { serde_json::from_str(&response.body)? };
        Ok(Answer { status: response.status, body, response })
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, as JSON; null where there is none.
    pub body: Value,
    /// All of it.
    pub response: Response,
}

impl Answer {
    /// Status and `code`.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}
