//! Limits that bound what somebody may do, by the names that refusals and metrics give them.

macro_rules! limits {
    ($($(#[doc = $help:literal])* $limit:ident = $name:literal),+ $(,)?) => {
        /// A limit of what a connection, an agent, a source address or a tenant may do (PROTOCOL.md §12).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Limit { $($(#[doc = $help])* $limit),+ }

        impl Limit {
            /// Every limit.
            pub const ALL: &'static [Limit] = &[$(Limit::$limit),+];

            /// Its name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Limit::$limit => $name),+ }
            }
        }
    };
}

limits! {
    /// Frames a second of a connection.
    RateMessages = "rate_messages",
    /// Bytes a second of a connection.
    RateBytes = "rate_bytes",
    /// Frames a second of an agent, on this instance.
    AgentRateMessages = "agent_rate_messages",
    /// Bytes a second of an agent, on this instance.
    AgentRateBytes = "agent_rate_bytes",
    /// Connections of an agent, on this instance.
    AgentConnections = "agent_connections",
    /// Subscriptions of an agent, on this instance.
    AgentSubscriptions = "agent_subscriptions",
    /// Frames a second of a source address, on this instance.
    AddressRateMessages = "address_rate_messages",
    /// Bytes a second of a source address, on this instance.
    AddressRateBytes = "address_rate_bytes",
    /// Connections of a source address, on this instance.
    AddressConnections = "address_connections",
    /// Subscriptions of a source address, on this instance.
    AddressSubscriptions = "address_subscriptions",
    /// Frames a second of a tenant, on this instance.
    TenantRateMessages = "tenant_rate_messages",
    /// Bytes a second of a tenant, on this instance.
    TenantRateBytes = "tenant_rate_bytes",
    /// Connections of a tenant, on this instance.
    TenantConnections = "tenant_connections",
    /// Subscriptions of a tenant, on this instance.
    TenantSubscriptions = "tenant_subscriptions",
    /// Frames a second of a tenant, on all instances together.
    TenantQuotaMessages = "tenant_quota_messages",
    /// Bytes a second of a tenant, on all instances together.
    TenantQuotaBytes = "tenant_quota_bytes",
    /// Topics of a tenant that have a stream, on all instances together.
    TenantTopicStreams = "tenant_topic_streams",
    /// What the processor of the instance carries in time.
    Processor = "processor",
}
