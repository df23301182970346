//! A call under an idempotency key is carried out once: a repeat gets the first answer. It is carried out to its end even
//! if its caller goes, as the answer may be asked for again.

use std::future::Future;
use std::sync::Arc;

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
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
    /// `idempotency-replayed: true`.
    #[param(rename = "Idempotency-Key", pattern = "^[A-Za-z0-9_.:~-]{1,64}$")]
    key: Option<String>,
}

/// Carries out `work`, whose answer is JSON, unless it was carried out under the same key.
pub(super) async fn once(
    api: &Arc<ApiState>,
    caller: &Caller,
    headers: &HeaderMap,
    said: &[&[u8]],
    work: impl Future<Output = Result<String, Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    let Some(key) = headers.get(KEY) else { return Ok(answer(work.await?)) };
    let key = key.to_str().ok().filter(|key| is_token_name(key));
    let key = key.ok_or_else(|| Problem::invalid("idempotency-key: 1 to 64 of A-Z a-z 0-9 _ - . : ~"))?;
    let principal = &caller.principal;
    let name = [b"call", principal.tenant().as_bytes(), principal.agent().as_bytes(), key.as_bytes()];
    let call = Call { key: digest(&name), said: digest(said) };
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
            Ok(text) => drop(store.finish(call, text.clone()).await),
            Err(_) => drop(store.forget(call).await),
        }
        done
    });
    done.await.map_err(|_| Problem::internal())?.map(answer)
}

fn answer(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
