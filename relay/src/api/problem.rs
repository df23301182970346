//! Every refusal of the API, as RFC 9457 writes it. No part of a token or a payload is in one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use relay_protocol::{CloseCode, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{Content, RefOr, Response as Described, ResponseBuilder};

use crate::auth::AuthError;

const CONTENT_TYPE: &str = "application/problem+json";
/// When a call is worth another try that met something away, in milliseconds.
pub(super) const UNAVAILABLE_RETRY_MS: u64 = 1_000;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `about:blank`: the status says what kind of problem it is, `code` which.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// Why, for programs.
    #[schema(example = "rate_limited")]
    code: &'static str,
    /// Why, for people.
    detail: Cow<'static, str>,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// Which limit was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Problem {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            retry_after_ms: None,
            limit: None,
        }
    }

    pub(super) fn retry_after(self, ms: u64) -> Problem {
        Problem { retry_after_ms: Some(ms), ..self }
    }

    pub(super) fn limit(self, limit: &'static str) -> Problem {
        Problem { limit: Some(limit), ..self }
    }

    /// Why, for programs.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// What was said is not of the right form.
    pub(super) fn invalid(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    pub(super) fn forbidden(detail: &'static str) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden.name(), detail)
    }

    pub(super) fn not_found(detail: &'static str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// A part of the path is away.
    pub(super) fn unavailable(detail: &'static str) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable.name(), detail)
            .retry_after(UNAVAILABLE_RETRY_MS)
    }

    /// There is no room, and making some helps.
    pub(super) fn full(detail: &'static str) -> Problem {
        Problem::new(StatusCode::CONFLICT, ErrorCode::LimitExceeded.name(), detail)
    }

    pub(super) fn internal() -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal.name(), "a fault of the relay")
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Problem {
        let unauthorized = |code| Problem::new(StatusCode::UNAUTHORIZED, code, error.label());
        match error.close_code() {
            CloseCode::Unavailable => Problem::unavailable(error.label()),
            CloseCode::Forbidden => Problem::forbidden(error.label()),
            CloseCode::TenantSuspended => Problem::new(
                StatusCode::FORBIDDEN,
                CloseCode::TenantSuspended.name(),
                "the tenant is suspended",
            ),
            CloseCode::TokenExpired => unauthorized(CloseCode::TokenExpired.name()),
            CloseCode::Revoked => unauthorized(CloseCode::Revoked.name()),
            _ => unauthorized(CloseCode::TokenInvalid.name()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_s = self.retry_after_ms.map(|ms| ms.div_ceil(1_000).max(1));
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// What every call that needs a token may be refused with, for the document.
pub(super) struct Refusals;

impl utoipa::IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let refusals = [
            (400, "Not of the right form"),
            (401, "No token, or one that is not accepted"),
            (403, "The token does not allow it, or its tenant is suspended"),
            (404, "There is no such thing"),
            (408, "The body did not come in time"),
            (409, "It cannot be done as things stand"),
            (413, "Over a limit of size"),
            (415, "The body is not application/json"),
            (422, "The idempotency key stands for another call"),
            (429, "Over a rate; come back after Retry-After"),
            (503, "A part of the path is away or full; come back after Retry-After"),
        ];
        let problem = || Content::new(Some(utoipa::openapi::Ref::from_schema_name("Problem")));
        let described = |(status, why): (u16, &str)| {
            let response = ResponseBuilder::new().description(why).content(CONTENT_TYPE, problem()).build();
            (status.to_string(), RefOr::T(response))
        };
        refusals.into_iter().map(described).collect()
    }
}
