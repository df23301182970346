//! The limits of one tenant that differ from the configured ones. Here, as what stores them and what enforces them do not
//! know of each other.

/// The most that a limit may be set to: above what any machine carries, and far from where sums of it overflow.
pub const LIMIT_MAX: u32 = 1_000_000_000;

/// Limits of one tenant. Absent is as configured (`RELAY_TENANT_…`), 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantLimits {
    /// Frames a second on each instance; the burst is five times that.
    pub rate_messages: Option<u32>,
    /// Bytes a second on each instance; the burst is four times that.
    pub rate_bytes: Option<u32>,
    /// Connections on each instance.
    pub connections: Option<u32>,
    /// Subscriptions on each instance.
    pub subscriptions: Option<u32>,
    /// Frames a second on all instances together; the burst is five times that.
    pub quota_messages: Option<u32>,
    /// Bytes a second on all instances together; the burst is five times that.
    pub quota_bytes: Option<u32>,
}

impl TenantLimits {
    /// All of them, in the order in which they are written down.
    pub fn each(&self) -> [Option<u32>; 6] {
        let TenantLimits {
            rate_messages,
            rate_bytes,
            connections,
            subscriptions,
            quota_messages,
            quota_bytes,
        } = *self;
        [rate_messages, rate_bytes, connections, subscriptions, quota_messages, quota_bytes]
    }

    /// From that order.
    pub fn from_each(each: [Option<u32>; 6]) -> TenantLimits {
        let [rate_messages, rate_bytes, connections, subscriptions, quota_messages, quota_bytes] = each;
        TenantLimits { rate_messages, rate_bytes, connections, subscriptions, quota_messages, quota_bytes }
    }

    /// Whether any differs from the configured one.
    pub fn any(&self) -> bool {
        self.each().iter().any(Option::is_some)
    }

    /// The first that cannot be: one that is beyond [`LIMIT_MAX`], or a limit of bytes whose burst holds no WebSocket
    /// message of full size, so that waiting would never help.
    pub fn impossible(&self, message_bytes: usize) -> Option<&'static str> {
        let names =
            ["rate_messages", "rate_bytes", "connections", "subscriptions", "quota_messages", "quota_bytes"];
        names.into_iter().zip(self.each()).find_map(|(name, limit)| {
            let limit = limit.filter(|limit| *limit > 0)?;
            let small = name.ends_with("_bytes") && (limit as usize) * 4 < message_bytes;
            (small || limit > LIMIT_MAX).then_some(name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_lets_a_message_pass_is_impossible() {
        let limits = |rate_bytes| TenantLimits { rate_bytes: Some(rate_bytes), ..TenantLimits::default() };
        assert_eq!(limits(249).impossible(1_000), Some("rate_bytes"));
        assert_eq!(limits(250).impossible(1_000), None);
        assert_eq!(limits(0).impossible(1_000), None, "no limit");
        let connections = |connections| TenantLimits { connections: Some(connections), ..limits(0) };
        assert_eq!(connections(LIMIT_MAX).impossible(1_000), None);
        assert_eq!(connections(LIMIT_MAX + 1).impossible(1_000), Some("connections"));
    }

    #[test]
    fn the_order_is_kept() {
        let each = [Some(1), Some(2), Some(3), Some(4), None, Some(6)];
        let limits = TenantLimits::from_each(each);
        assert_eq!((limits.each(), limits.quota_bytes), (each, Some(6)));
        assert!(limits.any() && !TenantLimits::default().any());
    }
}
