//! What a call says: bounded before it is read, read before it is believed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::LengthLimitError;
use relay_protocol::ErrorCode;
use serde::de::DeserializeOwned;

use crate::api::ApiState;
use crate::api::object::whole;
use crate::api::problem::Problem;

/// Room beside a message of full size for its recipients.
const RECIPIENTS_BYTES_MAX: usize = 16 * 1024;
/// Time for a body: 100 KiB over a connection of 200 kbit/s.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// A body of JSON. Members that are not known are refused: a typo would otherwise be silence.
#[derive(Debug)]
pub(super) struct Body<T> {
    /// What it says.
    pub(super) value: T,
    /// As it came.
    pub(super) bytes: axum::body::Bytes,
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let parameters = parameters.trim();
    kind.trim().eq_ignore_ascii_case("application/json")
        && (parameters.is_empty() || parameters.eq_ignore_ascii_case("charset=utf-8"))
}

impl<T: DeserializeOwned> FromRequest<Arc<ApiState>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<ApiState>) -> Result<Body<T>, Problem> {
        if !is_json(request.headers()) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(
                status,
                "unsupported_media_type",
                "send content-type: application/json",
            ));
        }
        let max = api.limits.message_bytes() + RECIPIENTS_BYTES_MAX;
        let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(request.into_body(), max)).await;
        let bytes = match read {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) if is_too_long(&error) => {
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    ErrorCode::TooLarge.name(),
                    format!("a body has at most {max} bytes"),
                )
                .limit("body"));
            }
            Ok(Err(_)) => return Err(Problem::invalid("the body broke off")),
            Err(_) => {
                return Err(Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "timeout",
                    "the body did not come in time",
                ));
            }
        };
        // The library's own words may quote what was sent.
        let value = whole(&bytes).map_err(|error| {
            let (what, line, column) = (category(&error), error.line(), error.column());
            Problem::invalid(format!("{what} at line {line}, column {column}"))
        })?;
        Ok(Body { value, bytes })
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "a member that is missing, not known, or of the wrong type",
        _ => "not JSON",
    }
}

/// The one variable of a path.
#[derive(Debug)]
pub(super) struct InPath(pub(super) String);

impl FromRequestParts<Arc<ApiState>> for InPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<ApiState>) -> Result<InPath, Problem> {
        let path = Path::<String>::from_request_parts(parts, api).await;
        path.map(|Path(text)| InPath(text)).map_err(|_| Problem::invalid("the path"))
    }
}

/// The query of a call.
#[derive(Debug)]
pub(super) struct InQuery<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<ApiState>> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<ApiState>) -> Result<InQuery<T>, Problem> {
        let query = Query::<T>::from_request_parts(parts, api).await;
        query.map(|Query(value)| InQuery(value)).map_err(|_| Problem::invalid("the query"))
    }
}

/// What a call says of a tenant in its query.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfTenant {
    /// The tenant; the caller's own where absent. Another one for operators only.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub(super) tenant: Option<String>,
}
