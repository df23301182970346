//! From a load and measured figures to instances, memory and money. Pure.

use clap::Args;

/// Sockets that one instance of Cloud Run takes.
pub(super) const CLOUD_RUN_SOCKETS: f64 = 1_000.0;
/// Of what an instance could hold or do, so much is used: the rest is for a burst and for the loss of another.
pub(super) const USED_SHARE: f64 = 0.6;
/// The same for sockets, which come more evenly.
pub(super) const SOCKETS_SHARE: f64 = 0.8;
/// The kernel's own for each socket, in KiB (performance.md §1.2).
pub(super) const KERNEL_KIB: f64 = 4.3;
/// A relay without connections, in MiB.
pub(super) const BASE_MIB: f64 = 32.0;
/// What a machine of one's own holds, by memory and descriptors (performance.md §4).
pub(super) const MACHINE_SOCKETS: f64 = 100_000.0;
/// Bytes around a payload on its way to a client: frame, metadata, TCP.
pub(super) const AROUND_BYTES: f64 = 260.0;
/// Envelopes a second that one Redis core relays, unbatched (performance.md §1.2 d).
pub(super) const REDIS_PER_CORE: f64 = 1_200_000.0;
/// What an agent takes in Redis: its directory entry, its place in the index.
pub(super) const REDIS_AGENT_BYTES: f64 = 512.0;
/// An instance alone is none when it fails.
const INSTANCES_MIN: f64 = 2.0;
const HOURS: f64 = 730.0;

/// The load.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Load")]
pub struct Load {
    /// Agents connected at the busiest time
    #[arg(long, value_name = "N", default_value_t = 10_000.0)]
    pub users: f64,
    /// Messages per second that each sends then
    #[arg(long, value_name = "N", default_value_t = 0.1)]
    pub rate: f64,
    /// Recipients of each message
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub fan_out: f64,
    /// Size of each payload
    #[arg(long, value_name = "BYTES", default_value_t = 512.0)]
    pub payload: f64,
    /// Load of an average hour, as a share of the busiest: quiet hours run on fewer instances
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    pub average: f64,
    /// Processors of an instance on Cloud Run
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub instance_cores: f64,
    /// Processors of a machine of one's own
    #[arg(long, value_name = "N", default_value_t = 4.0)]
    pub machine_cores: f64,
}

/// Prices in US dollars.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Prices in US dollars (Google's list, cheapest regions; check yours)")]
pub struct Prices {
    /// A processor for a second, always allocated
    #[arg(long, value_name = "USD", default_value_t = 0.000_018)]
    pub price_cpu: f64,
    /// A GiB of memory for a second
    #[arg(long, value_name = "USD", default_value_t = 0.000_002)]
    pub price_memory: f64,
    /// A GiB of Redis for an hour
    #[arg(long, value_name = "USD", default_value_t = 0.049)]
    pub price_redis: f64,
    /// A GiB to the internet
    #[arg(long, value_name = "USD", default_value_t = 0.12)]
    pub price_egress: f64,
    /// A machine of one's own for a month, its traffic included
    #[arg(long, value_name = "USD", default_value_t = 100.0)]
    pub price_machine: f64,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Microseconds of processor time for each delivery within an instance, arriving one by one.
    pub cpu_us: f64,
    /// The same from one instance to another, of both together.
    pub across_cpu_us: f64,
    /// Resident KiB for each connection.
    pub connection_kib: f64,
    /// Where that comes from.
    pub source: String,
}

impl Default for Measured {
    /// Of messages that arrive one at a time, which is what costs most: `run direct --rate 31000` on the machine of
    /// RESULTS.md, and twice that across instances.
    fn default() -> Measured {
        let source = "direct at 31,000/s, 2 cores, 2026-11-21".to_owned();
        Measured { cpu_us: 18.0, across_cpu_us: 36.0, connection_kib: 10.0, source }
    }
}

/// What it takes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Deliveries a second at the busiest time.
    pub deliveries_per_s: f64,
    /// On Cloud Run.
    pub cloud_run: Fleet,
    /// On machines of one's own.
    pub machines: Fleet,
    /// GiB of Redis, whole ones as they are sold.
    pub redis_gib: f64,
    /// Of one core of Redis.
    pub redis_core_share: f64,
    /// GiB to clients in a month.
    pub egress_gib: f64,
}

/// Instances of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// At the busiest time.
    pub instances: f64,
    /// In an average hour.
    pub average_instances: f64,
    /// What decides the number.
    pub because: &'static str,
    /// Processors in use by all of them at the busiest time.
    pub cores_used: f64,
    /// MiB that each needs.
    pub memory_mib: f64,
    /// US dollars a month, Redis and traffic included.
    pub monthly: f64,
}

impl Plan {
    /// What `load` takes.
    pub fn of(load: &Load, measured: &Measured, prices: &Prices) -> Plan {
        let deliveries_per_s = load.users * load.rate * load.fan_out;
        let redis_gib = (load.users * REDIS_AGENT_BYTES / 1024.0_f64.powi(3)).ceil().max(1.0);
        let bytes_per_s = deliveries_per_s * load.average * (load.payload + AROUND_BYTES);
        let egress_gib = bytes_per_s * HOURS * 3600.0 / 1024.0_f64.powi(3);
        let redis = redis_gib * prices.price_redis * HOURS;
        let mut cloud_run = fleet(load, measured, CLOUD_RUN_SOCKETS * SOCKETS_SHARE, load.instance_cores);
        // The second generation begins at half a GiB.
        cloud_run.memory_mib = cloud_run.memory_mib.max(512.0);
        let second =
            load.instance_cores * prices.price_cpu + cloud_run.memory_mib / 1024.0 * prices.price_memory;
        let running = cloud_run.average_instances * second * HOURS * 3600.0;
        cloud_run.monthly = running + redis + egress_gib * prices.price_egress;
        let mut machines = fleet(load, measured, MACHINE_SOCKETS * SOCKETS_SHARE, load.machine_cores);
        machines.average_instances = machines.instances;
        machines.monthly = machines.instances * prices.price_machine + redis;
        let across = deliveries_per_s * (1.0 - 1.0 / cloud_run.instances);
        Plan {
            deliveries_per_s,
            cloud_run,
            machines,
            redis_gib,
            redis_core_share: across / REDIS_PER_CORE,
            egress_gib,
        }
    }
}

fn fleet(load: &Load, measured: &Measured, sockets: f64, cores: f64) -> Fleet {
    let deliveries = load.users * load.rate * load.fan_out;
    let by_sockets = (load.users / sockets).ceil();
    // The more instances, the more goes across.
    let used = |instances: f64| {
        let across = 1.0 - 1.0 / instances;
        deliveries * (measured.cpu_us * (1.0 - across) + measured.across_cpu_us * across) / 1e6
    };
    let by_cores = |instances: f64| (used(instances) / (cores * USED_SHARE)).ceil();
    let first = by_sockets.max(by_cores(INSTANCES_MIN)).max(INSTANCES_MIN);
    let instances = first.max(by_cores(first));
    let because = if instances <= INSTANCES_MIN {
        "the loss of one"
    } else if instances > by_sockets {
        "processors"
    } else {
        "connections"
    };
    let each = load.users / instances;
    Fleet {
        instances,
        average_instances: (instances * load.average).ceil().max(INSTANCES_MIN),
        because,
        cores_used: used(instances),
        memory_mib: (BASE_MIB + each * (measured.connection_kib + KERNEL_KIB) / 1024.0) / USED_SHARE,
        monthly: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        prices: Prices,
    }

    fn plan(arguments: &str) -> Plan {
        let line = Line::parse_from(["plan"].into_iter().chain(arguments.split_whitespace()));
        Plan::of(&line.load, &Measured::default(), &line.prices)
    }

    #[test]
    fn connections_decide_on_cloud_run_and_hardly_on_machines() {
        let plan = plan("--users 200000 --rate 0.1");
        assert_eq!((plan.cloud_run.instances, plan.cloud_run.because), (250.0, "connections"), "{plan:?}");
        assert!((plan.machines.instances - 3.0).abs() < 0.1);
        assert!(plan.cloud_run.monthly > plan.machines.monthly);
    }

    #[test]
    fn a_busy_few_need_processors_and_a_handful_needs_two() {
        let busy = plan("--users 2000 --rate 100");
        assert_eq!(busy.cloud_run.because, "processors");
        // 200,000 deliveries of 36 µs on cores used at 60 %.
        assert!((11.0..13.0).contains(&busy.cloud_run.instances), "{:?}", busy.cloud_run);
        let few = plan("--users 100");
        assert_eq!((few.cloud_run.instances, few.cloud_run.because), (2.0, "the loss of one"));
    }

    #[test]
    fn quiet_hours_cost_less() {
        let (even, uneven) = (plan("--users 80000 --average 1"), plan("--users 80000 --average 0.25"));
        assert_eq!((even.cloud_run.average_instances, uneven.cloud_run.average_instances), (100.0, 25.0));
        assert!(uneven.cloud_run.monthly < even.cloud_run.monthly / 3.0);
    }
}
