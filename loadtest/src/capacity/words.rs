//! A plan in words, its assumptions with it.

use crate::capacity::model::{
    AROUND_BYTES, BASE_MIB, CLOUD_RUN_SOCKETS, Fleet, KERNEL_KIB, Load, MACHINE_SOCKETS, Measured, Plan,
    Prices, REDIS_PER_CORE, SOCKETS_SHARE, USED_SHARE,
};
use crate::capacity::scaling::Scrape;

/// Seconds of a month.
const MONTH_S: f64 = 730.0 * 3600.0;
/// By the load: room for a burst, and what a deployment is tested at (row AD7).
const CHECKED_AT: f64 = 1.2;
/// Sockets that one process of the generator may open wherever it runs, with room for its own.
const PROCESS_SOCKETS: f64 = 15_000.0;
/// Platforms count memory in such steps.
const MEMORY_STEP_MIB: f64 = 256.0;

pub(super) fn plan_words(load: &Load, measured: &Measured, prices: &Prices, plan: &Plan) -> String {
    let messages = plan.deliveries_per_s * load.average * MONTH_S;
    let fleet = |name: &str, fleet: &Fleet| {
        format!(
            "  {name:<16} {:.0} instances, for {}; {:.2} cores in use, {:.0} MiB each; {:.0} USD a month \
             ({:.4} a user, {:.2} a million deliveries)",
            fleet.instances,
            fleet.because,
            fleet.cores_used,
            fleet.memory_mib,
            fleet.monthly,
            fleet.monthly / load.users.max(1.0),
            fleet.monthly / (messages / 1e6).max(f64::MIN_POSITIVE)
        )
    };
    [
        format!(
            "{:.0} users sending {} messages/s of {:.0} bytes to {} each: {:.0} deliveries/s at the busiest time",
            load.users, load.rate, load.payload, load.fan_out, plan.deliveries_per_s
        ),
        fleet("Cloud Run", &plan.cloud_run),
        fleet("own machines", &plan.machines),
        format!(
            "  {:<16} {:.0} GiB, {:.1} % of a core; {:.0} GiB to clients a month",
            "Redis",
            plan.redis_gib,
            plan.redis_core_share * 100.0,
            plan.egress_gib
        ),
        String::new(),
        "For Terraform:".to_owned(),
        tfvars(plan),
        String::new(),
        check(load),
        String::new(),
        assumptions(load, measured, prices),
    ]
    .join("\n")
}

/// What a deployment shows before it gets all of the traffic (row AD7).
fn check(load: &Load) -> String {
    let (agents, rate) = (load.users * CHECKED_AT, load.users * load.rate * CHECKED_AT);
    let processes = (agents / PROCESS_SOCKETS).ceil().max(1.0);
    [
        "Before it gets traffic, and again at 10, 50 and 100 % of it:".to_owned(),
        format!(
            "  relay-loadtest run direct --url URL --allow-remote --agents {agents:.0} --rate {rate:.0} --payload {:.0} \
             --processes {processes:.0} --duration 60 --target-p99 500 --must-meet",
            load.payload
        ),
        "  (a fifth more than the load: p99 under 500 ms, less than 0.1 % refused, nothing lost; else back to what was there)"
            .to_owned(),
    ]
    .join("\n")
}

fn assumptions(load: &Load, measured: &Measured, prices: &Prices) -> String {
    [
        "Assumed:".to_owned(),
        format!(
            "  {:.1} µs of processor time a delivery, {:.1} across instances, {:.1} KiB a connection ({})",
            measured.cpu_us, measured.across_cpu_us, measured.connection_kib, measured.source
        ),
        format!(
            "  processors and memory used at {:.0} %, sockets at {:.0} % of {CLOUD_RUN_SOCKETS:.0} on Cloud Run and of \
             {MACHINE_SOCKETS:.0} on a machine of {:.0} cores",
            USED_SHARE * 100.0,
            SOCKETS_SHARE * 100.0,
            load.machine_cores
        ),
        format!(
            "  {KERNEL_KIB} KiB of the kernel for each socket, {BASE_MIB:.0} MiB for a relay, {AROUND_BYTES:.0} bytes around a \
             payload, {:.1} million envelopes a second for a core of Redis",
            REDIS_PER_CORE / 1e6
        ),
        format!(
            "  an average hour has {:.0} % of the load of the busiest; every recipient is connected, and the senders' \
             partners are anywhere",
            load.average * 100.0
        ),
        format!(
            "  USD: {} a processor second, {} a GiB second, {} a GiB of Redis an hour, {} a GiB to the internet, {} a machine \
             a month",
            prices.price_cpu,
            prices.price_memory,
            prices.price_redis,
            prices.price_egress,
            prices.price_machine
        ),
    ]
    .join("\n")
}

/// Variables of a deployment on Cloud Run.
pub(super) fn tfvars(plan: &Plan) -> String {
    let Fleet { instances, average_instances, memory_mib, .. } = plan.cloud_run;
    let max = (instances * CHECKED_AT).ceil();
    let min = average_instances.min(instances);
    let memory = (memory_mib / MEMORY_STEP_MIB).ceil() * MEMORY_STEP_MIB;
    [
        format!("min_instances        = {min:.0}"),
        format!("max_instances        = {max:.0}"),
        format!("memory               = \"{memory:.0}Mi\""),
        format!("concurrency          = {CLOUD_RUN_SOCKETS:.0}"),
        "request_timeout_s    = 3600".to_owned(),
        format!("redis_memory_size_gb = {:.0}", plan.redis_gib),
    ]
    .join("\n")
}

pub(super) fn decision_words(scrape: &Scrape) -> String {
    let Scrape { instances, cpu, memory, queue, connections } = scrape;
    format!(
        "{instances} instances: processors {cpu:.2} · memory {memory:.2} · queues {queue:.2} · connections {connections:.2} \
         (1 is as it should be)\nscore {:.2}: {} instances wanted\nwait five minutes between changes; drain what is removed",
        scrape.score(),
        scrape.wanted()
    )
}
