//! Every metric of the relay, in one place. Handles are made once and held, as looking one up costs ten times as much.
//!
//! The accounting identities, tested end to end:
//!
//! * `relay_sends_total` = the sum of `relay_send_outcomes_total` + `relay_sends_in_flight`.
//! * `relay_deliveries_queued_total` = `relay_deliveries_written_total` + the sum of `relay_deliveries_dropped_total` +
//!   what waits in the queues, which is nothing once no session is left, nor in `relay_queued_bytes`.
//!
//! Label values are fixed words of the code, never input.

#![expect(clippy::disallowed_macros, reason = "this is the one file that names metrics")]

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use relay_protocol::{CloseCode, ErrorCode};

use crate::telemetry::limit::Limit;
use crate::telemetry::outcome::Outcome;

pub use crate::telemetry::reason::{Drop, Refused, Shed};

/// Buckets of every duration. 0.5 and 1 stand in them, as alerts ask for just those.
const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Buckets of calls of the HTTP API. 1 and 3 stand in them, as alerts ask for just those.
const API_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])* $field:ident: $kind:ident = $name:literal $({ $($key:literal = $value:expr),+ })?;)+) => {
        /// Handles of every metric without a variable label, and of those with one.
        #[derive(Debug)]
        pub struct Metrics {
            $($(#[doc = $help])* pub $field: $kind,)+
            outcomes: Outcomes,
            closes: Vec<Counter>,
            command_errors: Vec<Counter>,
            limited: Vec<Counter>,
            limited_dry: Vec<Counter>,
            handle: PrometheusHandle,
            recorder: Arc<PrometheusRecorder>,
        }

        impl Metrics {
            /// Makes every handle on a recorder of its own, so that several relays can live in one process.
            pub fn new() -> Result<Arc<Metrics>, BuildError> {
                let recorder = PrometheusBuilder::new()
                    .set_buckets_for_metric(Matcher::Full("relay_api_request_seconds".to_owned()), API_SECONDS)?
                    .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
                    .build_recorder();
                let handle = recorder.handle();
                let recorder = Arc::new(recorder);
                Ok(metrics::with_local_recorder(&*Arc::clone(&recorder), || {
                    $(metrics!(@describe $kind, $name, concat!($($help),*));)+
                    metrics_process::Collector::default().describe();
                    Arc::new(Metrics {
                        $($field: metrics!(@handle $kind, $name $({ $($key = $value),+ })?),)+
                        outcomes: Outcomes::new(),
                        closes: CloseCode::ALL.iter()
                            .map(|code| metrics::counter!("relay_closes_total", "code" => code.name())).collect(),
                        command_errors: ErrorCode::ALL.iter()
                            .map(|code| metrics::counter!("relay_command_errors_total", "code" => code.name())).collect(),
                        limited: limited("enforced"),
                        limited_dry: limited("dry_run"),
                        handle,
                        recorder,
                    })
                }))
            }
        }
    };
    (@handle Counter, $name:literal $({ $($key:literal = $value:expr),+ })?) => { metrics::counter!($name $(, $($key => $value),+)?) };
    (@handle Gauge, $name:literal $({ $($key:literal = $value:expr),+ })?) => { metrics::gauge!($name $(, $($key => $value),+)?) };
    (@handle Histogram, $name:literal $({ $($key:literal = $value:expr),+ })?) => { metrics::histogram!($name $(, $($key => $value),+)?) };
    (@describe Counter, $name:literal, $help:expr) => { describe_counter!($name, $help.trim_start()) };
    (@describe Gauge, $name:literal, $help:expr) => { describe_gauge!($name, $help.trim_start()) };
    (@describe Histogram, $name:literal, $help:expr) => { describe_histogram!($name, Unit::Seconds, $help.trim_start()) };
}

metrics! {
    /// Connections that are open, authenticated or not.
    connections: Gauge = "relay_connections";
    /// Connections this instance may hold.
    connections_max: Gauge = "relay_connections_max";
    /// Sessions: connections that were welcomed.
    sessions: Gauge = "relay_sessions";
    /// Connections accepted.
    accepted: Counter = "relay_connections_accepted_total";
    /// Connections refused before the upgrade.
    refused_connections: Counter = "relay_connections_refused_total" { "reason" = "connections" };
    /// Connections refused before the upgrade.
    refused_unauthenticated: Counter = "relay_connections_refused_total" { "reason" = "unauthenticated" };
    /// Connections refused before the upgrade.
    refused_draining: Counter = "relay_connections_refused_total" { "reason" = "draining" };
    /// Connections refused before the upgrade.
    refused_origin: Counter = "relay_connections_refused_total" { "reason" = "origin" };
    /// Connections refused before the upgrade.
    refused_subprotocol: Counter = "relay_connections_refused_total" { "reason" = "subprotocol" };
    /// Connections refused before the upgrade.
    refused_address: Counter = "relay_connections_refused_total" { "reason" = "address" };
    /// Connections refused before the upgrade.
    refused_memory: Counter = "relay_connections_refused_total" { "reason" = "memory" };
    /// Connections refused before the upgrade.
    refused_delay: Counter = "relay_connections_refused_total" { "reason" = "delay" };
    /// Connections refused before the upgrade.
    refused_rate: Counter = "relay_connections_refused_total" { "reason" = "rate" };
    /// Whether connections are refused to spare memory (1) or not (0).
    shedding_memory: Gauge = "relay_shedding" { "reason" = "memory" };
    /// Whether connections are refused as the processor does not keep up (1) or not (0).
    shedding_delay: Gauge = "relay_shedding" { "reason" = "delay" };
    /// Share of sends that are refused as the processor does not keep up, 1 being all.
    shedding_sends: Gauge = "relay_shedding_sends_share";
    /// Share of the memory budget in use, 1 being all.
    memory_share: Gauge = "relay_memory_share";
    /// How late a timer was at best in the last second: what a task waits for its turn.
    loop_delay: Gauge = "relay_loop_delay_seconds";
    /// Keys of limits that are held: agents, source addresses, tenants.
    limit_keys: Gauge = "relay_limit_keys";
    /// Keys of limits that found no room and share one with others.
    limit_keys_shared: Counter = "relay_limit_keys_shared_total";
    /// Slices of quotas that were leased.
    quota_leases: Counter = "relay_quota_leases_total" { "from" = "fleet" };
    /// Slices of quotas that an instance gave itself while Redis was away.
    quota_leases_local: Counter = "relay_quota_leases_total" { "from" = "local_share" };
    /// From the upgrade to `welcome`.
    handshake_seconds: Histogram = "relay_handshake_seconds";
    /// Degradation level: 0 normal, 1 something is slow, 2 something is down, 3 several things are, 4 emergency.
    level: Gauge = "relay_degradation_level";
    /// How what the relay leans on does: 1 well, 0.5 slow, 0 down.
    dependency_redis: Gauge = "relay_dependency_health" { "dependency" = "redis" };
    /// How what the relay leans on does: 1 well, 0.5 slow, 0 down.
    dependency_subscriptions: Gauge = "relay_dependency_health" { "dependency" = "subscriptions" };
    /// How what the relay leans on does: 1 well, 0.5 slow, 0 down.
    dependency_key_servers: Gauge = "relay_dependency_health" { "dependency" = "key_servers" };
    /// How what the relay leans on does: 1 well, 0.5 slow, 0 down.
    dependency_processor: Gauge = "relay_dependency_health" { "dependency" = "processor" };
    /// How what the relay leans on does: 1 well, 0.5 slow, 0 down.
    dependency_instance: Gauge = "relay_dependency_health" { "dependency" = "instance" };
    /// Client frames understood.
    frames_received: Counter = "relay_frames_received_total";
    /// WebSocket messages received.
    socket_reads: Counter = "relay_socket_messages_received_total";
    /// WebSocket messages written.
    socket_writes: Counter = "relay_socket_messages_written_total";
    /// Bytes of WebSocket messages received.
    bytes_received: Counter = "relay_received_bytes_total";
    /// Bytes of WebSocket messages written.
    bytes_written: Counter = "relay_written_bytes_total";
    /// Sends received.
    sends: Counter = "relay_sends_total";
    /// Sends without an outcome yet.
    sends_in_flight: Gauge = "relay_sends_in_flight";
    /// Messages put in line for a session.
    deliveries_queued: Counter = "relay_deliveries_queued_total";
    /// Bytes of messages that wait for sockets.
    queued_bytes: Gauge = "relay_queued_bytes";
    /// Messages written to a socket.
    deliveries_written: Counter = "relay_deliveries_written_total";
    /// Messages in line that were not written.
    dropped_expired: Counter = "relay_deliveries_dropped_total" { "reason" = "expired" };
    /// Messages in line that were not written.
    dropped_conflated: Counter = "relay_deliveries_dropped_total" { "reason" = "conflated" };
    /// Messages in line that were not written.
    dropped_session_ended: Counter = "relay_deliveries_dropped_total" { "reason" = "session_ended" };
    /// Messages of topics not put in line, told by a gap.
    shed_queue_full: Counter = "relay_deliveries_shed_total" { "reason" = "queue_full" };
    /// Messages of topics not put in line.
    shed_expired: Counter = "relay_deliveries_shed_total" { "reason" = "expired" };
    /// Age of the oldest message in each WebSocket message written, from its arrival at this instance.
    delivery_seconds: Histogram = "relay_delivery_seconds";
    /// Messages at qos 1 written to a socket; each may be written again after a reconnect.
    stream_writes: Counter = "relay_stream_deliveries_written_total";
    /// Messages at qos 1 that a recipient was told will not come.
    stream_skips: Counter = "relay_stream_skipped_total";
    /// Subscriptions in force.
    subscriptions: Gauge = "relay_subscriptions";
    /// Memberships of sessions in groups.
    group_members: Gauge = "relay_group_members";
    /// Messages to a group for which the first member drawn was full or gone.
    group_retries: Counter = "relay_group_retries_total";
    /// Messages to a group that a member left unwritten, for another member.
    group_handed_on: Counter = "relay_group_handed_on_total";
    /// Messages at qos 1 to a group that were given to a member, those given again included.
    jobs_given: Counter = "relay_group_jobs_given_total";
    /// Messages at qos 1 to a group that wait again, as the member's time or instance ended.
    jobs_put_back: Counter = "relay_group_jobs_put_back_total";
    /// Outcomes of messages at qos 1 that were kept for a sender that was away.
    outcomes_kept: Counter = "relay_outcomes_kept_total";
    /// Places whose presence sessions watch.
    presence_watches: Gauge = "relay_presence_watches";
    /// What watchers were told.
    presence_news: Counter = "relay_presence_news_total";
    /// Channels of topics this instance listens on.
    topic_channels: Gauge = "relay_topic_channels";
    /// Batches handed to the bus.
    bus_published: Counter = "relay_bus_batches_published_total";
    /// Envelopes handed to the bus.
    bus_published_envelopes: Counter = "relay_bus_envelopes_published_total";
    /// Batches that came from the bus.
    bus_received: Counter = "relay_bus_batches_received_total";
    /// Envelopes that came from the bus.
    bus_received_envelopes: Counter = "relay_bus_envelopes_received_total";
    /// Envelopes from the bus that could not be read; not zero only while a later release shares the bus.
    bus_unreadable: Counter = "relay_bus_unreadable_total";
    /// How long a publish took.
    bus_publish_seconds: Histogram = "relay_bus_publish_seconds";
    /// Publishes that failed or whose fate is unknown.
    bus_publish_failed: Counter = "relay_bus_publish_failed_total" { "reason" = "not_sent" };
    /// Publishes that failed or whose fate is unknown.
    bus_publish_unknown: Counter = "relay_bus_publish_failed_total" { "reason" = "unknown" };
    /// Times at which the bus may have lost something.
    bus_gaps_interrupted: Counter = "relay_bus_gaps_total" { "reason" = "interrupted" };
    /// Times at which the bus may have lost something.
    bus_gaps_lagged: Counter = "relay_bus_gaps_total" { "reason" = "lagged" };
    /// Whether the bus is up (1), deaf (0.5: nothing comes back) or down (0).
    bus_up: Gauge = "relay_bus_up";
    /// Envelopes another instance sent and this one never saw, reported to their senders.
    link_lost: Counter = "relay_link_lost_total";
    /// Envelopes that found nobody here and were sent on or refused by their sender's instance.
    link_not_here: Counter = "relay_link_not_here_total";
    /// Lookups in the directory.
    lookups: Counter = "relay_directory_lookups_total" { "result" = "found" };
    /// Lookups in the directory.
    lookups_empty: Counter = "relay_directory_lookups_total" { "result" = "none" };
    /// Lookups in the directory.
    lookups_failed: Counter = "relay_directory_lookups_total" { "result" = "unavailable" };
    /// Questions to key servers.
    key_fetches: Counter = "relay_key_fetches_total" { "result" = "ok" };
    /// Questions to key servers.
    key_fetches_failed: Counter = "relay_key_fetches_total" { "result" = "failed" };
    /// Keys that key servers withdrew.
    keys_withdrawn: Counter = "relay_keys_withdrawn_total";
    /// Revocations in force, as this instance knows them.
    revocations: Gauge = "relay_revocations";
    /// Attempts to read the list of revocations that failed.
    revocation_reads_failed: Counter = "relay_revocation_reads_failed_total";
    /// Calls of the HTTP API that were refused because too many were under way.
    api_overload: Counter = "relay_api_overload_total";
    /// Whether Redis has another maxmemory-policy than noeviction, so that it may forget accepted messages of qos 1.
    redis_evicts: Gauge = "relay_redis_evicts";
    /// Whether this instance drains.
    draining: Gauge = "relay_draining";
}

/// Counters of what limits refused, one for each.
fn limited(mode: &'static str) -> Vec<Counter> {
    describe_counter!(
        "relay_limited_total",
        "What limits refused, or in a dry run would have: frames, WebSocket messages, connections, subscriptions, sends that would make a stream."
    );
    let limited =
        |limit: &Limit| metrics::counter!("relay_limited_total", "limit" => limit.name(), "mode" => mode);
    Limit::ALL.iter().map(limited).collect()
}

/// Counters of outcomes, one for each.
#[derive(Debug)]
struct Outcomes {
    queued: Counter,
    accepted: Counter,
    delivered: Counter,
    unknown: Counter,
    failed: Vec<Counter>,
}

impl Outcomes {
    fn new() -> Outcomes {
        let outcome = |name: &'static str, reason: &'static str| metrics::counter!("relay_send_outcomes_total", "outcome" => name, "reason" => reason);
        describe_counter!("relay_send_outcomes_total", "Outcomes of sends: each send has exactly one.");
        describe_counter!("relay_api_requests_total", "Calls of the HTTP API, by route, method and status.");
        describe_histogram!(
            "relay_api_request_seconds",
            Unit::Seconds,
            "How long a call of the HTTP API took."
        );
        describe_counter!("relay_closes_total", "Connections closed, by close code.");
        describe_counter!(
            "relay_command_errors_total",
            "Commands other than sends that were refused, by error code."
        );
        Outcomes {
            queued: outcome("queued", ""),
            accepted: outcome("accepted", ""),
            delivered: outcome("delivered", ""),
            unknown: outcome("unknown", ""),
            failed: ErrorCode::ALL.iter().map(|code| outcome("failed", code.name())).collect(),
        }
    }
}

impl Metrics {
    /// Counts the outcome of a send.
    pub fn outcome(&self, outcome: Outcome) {
        self.outcomes(outcome, 1);
    }

    /// Counts the same outcome of several sends.
    pub fn outcomes(&self, outcome: Outcome, count: u64) {
        match outcome {
            Outcome::Queued => self.outcomes.queued.increment(count),
            Outcome::Accepted => self.outcomes.accepted.increment(count),
            Outcome::Delivered => self.outcomes.delivered.increment(count),
            Outcome::Unknown => self.outcomes.unknown.increment(count),
            Outcome::Failed { reason, .. } => {
                self.outcomes.failed[position(ErrorCode::ALL, &reason)].increment(count);
            }
        }
    }

    /// Counts a refused command that was no send.
    pub fn command_error(&self, code: ErrorCode) {
        self.command_errors[position(ErrorCode::ALL, &code)].increment(1);
    }

    /// Counts a call of the HTTP API. `endpoint` is a route, never a path; calls are rare beside messages, so its handles
    /// are looked up.
    pub fn api_call(&self, endpoint: &str, method: &'static str, status: u16, seconds: f64) {
        metrics::with_local_recorder(&self.recorder, || {
            let (endpoint, status) = (endpoint.to_owned(), status.to_string());
            metrics::counter!("relay_api_requests_total", "endpoint" => endpoint.clone(), "method" => method, "status" => status).increment(1);
            metrics::histogram!("relay_api_request_seconds", "endpoint" => endpoint, "method" => method)
                .record(seconds);
        });
    }

    /// Counts what a limit refuses, or in a dry run would.
    pub fn limited(&self, limit: Limit, dry_run: bool, count: u64) {
        let counters = if dry_run { &self.limited_dry } else { &self.limited };
        counters[position(Limit::ALL, &limit)].increment(count);
    }

    /// Counts the end of a connection.
    pub fn close(&self, code: CloseCode) {
        self.closes[position(CloseCode::ALL, &code)].increment(1);
    }

    /// How something the relay leans on does.
    pub fn dependency(&self, name: &str) -> &Gauge {
        match name {
            "redis" => &self.dependency_redis,
            "subscriptions" => &self.dependency_subscriptions,
            "key_servers" => &self.dependency_key_servers,
            "processor" => &self.dependency_processor,
            _ => &self.dependency_instance,
        }
    }

    /// Counts messages put in line, and their bytes.
    pub fn queue_deliveries(&self, count: u64, bytes: usize) {
        self.deliveries_queued.increment(count);
        self.queued_bytes.increment(bytes_of(bytes));
    }

    /// So many bytes of messages left their lines, written or not.
    pub fn dequeue_bytes(&self, bytes: usize) {
        self.queued_bytes.decrement(bytes_of(bytes));
    }

    /// The page a Prometheus server reads.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Takes the processor, memory and descriptor figures of this process.
    pub fn observe_process(&self) {
        metrics::with_local_recorder(&self.recorder, || metrics_process::Collector::default().collect());
    }

    /// Moves histogram samples into their buckets, so that what waits between two scrapes stays small.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn bytes_of(bytes: usize) -> f64 {
    bytes as f64
}

fn position<T: PartialEq>(all: &[T], one: &T) -> usize {
    // Every variant stands in its `ALL`, made by the same macro.
    all.iter().position(|other| other == one).unwrap_or(0)
}
