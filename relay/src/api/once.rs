//! A call under an idempotency key is carried out once: a repeat gets the first answer. It is carried out to its end even
//! if its caller goes, as the answer may be asked for again.
//!
//! What is stored at `qos` 1 under the name of its call is stored once whatever happens to the answer.

use std::future::Future;
use std::sync::Arc;

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay_protocol::address::is_token_name;

use crate::api::ApiState;
use crate::api::caller::Caller;
use crate::api::problem::{Problem, UNAVAILABLE_RETRY_MS};
use crate::auth::digest;
use crate::idempotency::{Call, IdempotencyError, Known};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The header, for the document.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read from the headers; here for the document")]
pub(super) struct IdempotencyKey {
    /// Names this call: a repeat within two minutes, on whatever instance, gets the answer of the first, with
    /// `idempotency-replayed: true`. At `qos` 1 an answer with the outcome `unknown` is not kept: a repeat asks the store
    /// again, which has the message once.
    #[param(rename = "Idempotency-Key", pattern = "^[A-Za-z0-9_.:~-]{1,64}$")]
    key: Option<String>,
}

/// The answer of a call.
#[derive(Debug)]
pub(super) struct Done {
    /// JSON.
    pub(super) answer: String,
    /// A repeat is better carried out again.
    pub(super) is_in_doubt: bool,
}

/// What a call that says this is known by; nothing without a key.
fn known_by(caller: &Caller, headers: &HeaderMap, said: &[&[u8]]) -> Result<Option<Call>, Problem> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| is_token_name(key));
    let key = key.ok_or_else(|| Problem::invalid("idempotency-key: 1 to 64 of A-Z a-z 0-9 _ - . : ~"))?;
    let principal = &caller.principal;
    let name = [b"call", principal.tenant().as_bytes(), principal.agent().as_bytes(), key.as_bytes()];
    Ok(Some(Call { key: digest(&name), said: digest(said) }))
}

/// The name for good of what a call sends; nothing without a key. Of two calls it is one only if they say the same, so that
/// a key that is used again later hides nothing.
pub(super) fn mid(caller: &Caller, headers: &HeaderMap, said: &[&[u8]]) -> Result<Option<String>, Problem> {
    let call = known_by(caller, headers, said)?;
    Ok(call.map(|call| URL_SAFE_NO_PAD.encode(digest(&[b"mid", &call.key, &call.said]))))
}

/// Carries out `work` unless it was carried out under the same key.
pub(super) async fn once(
    api: &Arc<ApiState>,
    caller: &Caller,
    headers: &HeaderMap,
    said: &[&[u8]],
    work: impl Future<Output = Result<Done, Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    let Some(call) = known_by(caller, headers, said)? else { return Ok(answer(work.await?.answer)) };
    let store = Arc::clone(&api.parts.idempotency);
    match store.begin(call).await {
        Ok(Known::First) => {}
        Ok(Known::Answered(text)) => {
            let mut response = answer(text);
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return Ok(response);
        }
        Ok(Known::UnderWay) => {
            let problem = Problem::new(StatusCode::CONFLICT, "in_progress", "the first call is not done yet");
            return Err(problem.retry_after(UNAVAILABLE_RETRY_MS));
        }
        Ok(Known::Other) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Problem::new(status, "idempotency_mismatch", "this key stands for another call"));
        }
        Err(IdempotencyError::Away) => {
            return Err(Problem::unavailable("whether this is a repeat cannot be known at present"));
        }
        Err(IdempotencyError::Full) => {
            return Err(Problem::unavailable("too many calls are remembered").limit("idempotency"));
        }
    }
    let done = api.parts.tracker.spawn(async move {
        let done = work.await;
        // If the store is away now, a repeat hears that the first is not done until it is forgotten.
        match &done {
            Ok(Done { answer, is_in_doubt: false }) => drop(store.finish(call, answer.clone()).await),
            Ok(_) | Err(_) => drop(store.forget(call).await),
        }
        done
    });
    done.await.map_err(|_| Problem::internal())?.map(|done| answer(done.answer))
}

fn answer(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
