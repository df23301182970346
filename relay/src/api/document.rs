//! The paths, and the document about them: one declaration, so that neither has what the other lacks.

use std::sync::{Arc, OnceLock};

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::problem::Problem;
use crate::api::{ApiState, agents, broadcast, disconnect, info, keys, presence, publish, revoke, tenants};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "agent-relay",
        description = "What programs on servers and administrators do without a socket. A call shows the token that a \
                       socket takes, or an API key. Members that are not known are refused. Each refusal is a problem \
                       of RFC 9457 with a `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem)),
    modifiers(&Token)
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A JWT or an API key. What acts on others needs the right `admin`."))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Every path.
pub(super) fn paths() -> OpenApiRouter<Arc<ApiState>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(publish::publish))
        .routes(routes!(broadcast::broadcast))
        .routes(routes!(agents::list))
        .routes(routes!(agents::show))
        .routes(routes!(agents::session))
        .routes(routes!(presence::presence))
        .routes(routes!(disconnect::disconnect))
        .routes(routes!(revoke::revoke))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::end))
        .routes(routes!(tenants::show, tenants::change))
        .routes(routes!(info::info))
        .routes(routes!(openapi))
}

/// The document, as it is served.
pub fn document() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    // What is made of constants cannot fail to be written, and an empty answer fails the tests.
    TEXT.get_or_init(|| paths().into_openapi().to_pretty_json().unwrap_or_default())
}

/// This document. Needs no token.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "relay",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
    security(())
)]
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document())
}
