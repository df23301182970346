//! Limits beyond one connection: of tenants over all instances, of agents, of source addresses; and of the instance itself.

mod noisy_tenant;
mod own;
mod pressure;
mod scopes;
