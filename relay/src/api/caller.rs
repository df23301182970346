//! Who calls: the token is looked at before a byte of the body is read.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use relay_protocol::address::is_tenant;
use relay_protocol::limit;

use crate::api::ApiState;
use crate::api::conduct::RequestId;
use crate::api::problem::Problem;
use crate::auth::Principal;

/// Somebody with a good token, within its rate.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    pub(super) request_id: RequestId,
}

/// A caller that may act on others.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) caller: Caller,
    is_operator: bool,
}

impl Admin {
    /// The tenant that is meant: the own one, or, for an operator, the one that is named.
    pub(super) fn tenant(&self, named: Option<&str>) -> Result<Arc<str>, Problem> {
        let own = self.caller.principal.tenant();
        match named {
            None => Ok(Arc::clone(own)),
            Some(named) if **own == *named => Ok(Arc::clone(own)),
            // Whether there is such a tenant is nobody else's business.
            Some(_) if !self.is_operator => Err(Problem::forbidden("another tenant")),
            Some(named) if is_tenant(named) => Ok(Arc::from(named)),
            Some(_) => Err(Problem::invalid("tenant")),
        }
    }

    /// Whether it may act on every tenant.
    pub(super) fn is_operator(&self) -> bool {
        self.is_operator
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.len() <= limit::TOKEN_BYTES_MAX).then_some(token)
}

impl FromRequestParts<Arc<ApiState>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<ApiState>) -> Result<Caller, Problem> {
        let token = bearer(&parts.headers).ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "token_invalid",
                "send Authorization: Bearer and one token",
            )
        })?;
        let principal = api.parts.authenticator.authenticate(token, SystemTime::now()).await?;
        api.rates.call(&principal)?;
        let request_id = parts.extensions.get::<RequestId>().cloned().unwrap_or_default();
        Ok(Caller { principal, request_id })
    }
}

impl FromRequestParts<Arc<ApiState>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<ApiState>) -> Result<Admin, Problem> {
        let caller = Caller::from_request_parts(parts, api).await?;
        if !caller.principal.rights().is_admin() {
            return Err(Problem::forbidden("this needs the right `admin`"));
        }
        let is_operator = api.operator_tenant.as_ref() == Some(caller.principal.tenant());
        Ok(Admin { caller, is_operator })
    }
}
