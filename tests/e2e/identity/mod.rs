//! Who an agent is, and what follows: keys of every algorithm, refusals that say why, rights, ends of tokens, tenants.

mod expiry;
mod keys;
mod refused;
mod rights;
mod tenants;
