//! Redis in all its forms, and what happens when it ails.

mod behind;
mod cluster;
mod failover;
mod outage;
mod probes;
mod secured;
