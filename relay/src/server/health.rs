//! Is it alive, is it ready, has it started? Liveness never looks at Redis, and one Redis outage does not make every
//! instance unready: traffic would have nowhere to go.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::bus::BusHealth;
use crate::lifecycle::Life;
use crate::resilience::{Dependency, Health};
use crate::server::ServerState;
use crate::telemetry::metrics::Refused;

#[derive(Serialize)]
struct Report {
    status: &'static str,
    instance: String,
    bus: &'static str,
    connections_left: usize,
    /// What connections are refused to spare, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    shedding: Option<&'static str>,
    level: String,
    dependencies: Vec<DependencyReport>,
}

#[derive(Serialize)]
struct DependencyReport {
    name: &'static str,
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meanwhile: Option<&'static str>,
    /// What is to be put right although it does its part.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

fn dependencies(state: &ServerState) -> Vec<DependencyReport> {
    let report = |(dependency, health): (&Dependency, Health)| DependencyReport {
        name: dependency.name,
        health: health.name(),
        meanwhile: (health == Health::Down).then_some(dependency.meanwhile),
        warning: dependency.warns(),
    };
    state.dependencies.each().map(report).collect()
}

fn report(state: &ServerState, ready: bool) -> Response {
    let bus = match state.router.bus_health() {
        BusHealth::Up => "up",
        BusHealth::Deaf => "deaf",
        BusHealth::Down => "down",
    };
    let status = match (state.phase.get(), ready) {
        (Life::Starting, _) => "starting",
        (Life::Draining, _) => "draining",
        (Life::Serving, true) => "ready",
        (Life::Serving, false) => "unready",
    };
    let connections_left = state.admission.connections_left();
    let report = Report {
        status,
        instance: state.router.instance().to_string(),
        bus,
        connections_left,
        shedding: state.admission.shedding().map(Refused::name),
        level: state.dependencies.standing().level.to_string(),
        dependencies: dependencies(state),
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(report)).into_response()
}

/// The process answers.
pub(super) async fn live(State(state): State<Arc<ServerState>>) -> Response {
    report(&state, true)
}

/// More connections are welcome: not while leaving, full, under pressure, or deaf to a bus that others can use.
pub(super) async fn ready(State(state): State<Arc<ServerState>>) -> Response {
    let ready = state.phase.get() == Life::Serving
        && state.router.bus_health() != BusHealth::Deaf
        && state.admission.connections_left() > 0
        && state.admission.shedding().is_none();
    report(&state, ready)
}

/// The process has started.
pub(super) async fn startup(State(state): State<Arc<ServerState>>) -> Response {
    let started = state.phase.get() != Life::Starting;
    report(&state, started)
}
