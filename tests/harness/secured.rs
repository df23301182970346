//! A Redis as it stands in a network: TLS only, and a user that may do what a relay does and no more.

use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use relay_loadtest::launch::ready::free_port;
use tempfile::TempDir;

use crate::redis::Redis;

/// Of every user.
pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";
/// What README.md tells operators to allow a relay.
pub const RIGHTS: &str = "resetchannels ~r1:* &r1:* -@all +@connection +@pubsub +@scripting +@read +@write -@dangerous +info +time";

/// An authority of its own, and a certificate for this machine that it signed. Dropped, their files are gone.
#[derive(Debug)]
pub(crate) struct Certificates(TempDir);

impl Certificates {
    /// Makes them.
    pub(crate) fn issue() -> anyhow::Result<Certificates> {
        let certificates = Certificates(TempDir::with_prefix("relay-tests-tls-")?);
        let file = |name: &str| certificates.0.path().join(name);
        certify(&file("ca.pem"), &file("redis.pem"), &file("redis.key"))?;
        Ok(certificates)
    }

    /// The authority's certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// What makes a Redis show its certificate on a port, to users alone: the relay's with these rights.
    pub(crate) fn arguments(&self, port: u16, rights: &str) -> anyhow::Result<Vec<String>> {
        let mut arguments = vec!["--tls-port".to_owned(), port.to_string()];
        for (option, name) in [
            ("--tls-cert-file", "redis.pem"),
            ("--tls-key-file", "redis.key"),
            ("--tls-ca-cert-file", "ca.pem"),
        ] {
            let file = self.0.path().join(name);
            arguments
                .extend([option.to_owned(), file.to_str().context("a path that is no text")?.to_owned()]);
        }
        let users = format!("--tls-auth-clients no --user default off --user relay on >{PASSWORD} {rights}");
        arguments.extend(users.split(' ').map(str::to_owned));
        Ok(arguments)
    }
}

/// Such a Redis.
#[derive(Debug)]
pub struct Secured {
    /// Its process.
    pub redis: Redis,
    port: u16,
    certificates: Certificates,
}

impl Secured {
    /// Starts one, with an authority of its own.
    pub async fn start() -> anyhow::Result<Secured> {
        Secured::start_with(&[]).await
    }

    /// Starts one with further arguments.
    pub async fn start_with(further: &[&str]) -> anyhow::Result<Secured> {
        let (certificates, port) = (Certificates::issue()?, free_port().await?);
        let mut arguments = certificates.arguments(port, RIGHTS)?;
        arguments.extend(further.iter().copied().map(str::to_owned));
        // Its plain port answers nobody without a password, and is what tells that it is there.
        let redis = Redis::start_with(&arguments, "-NOAUTH").await?;
        Ok(Secured { redis, port, certificates })
    }

    /// What a relay is told.
    pub fn url(&self) -> String {
        format!("rediss://relay:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// The file with the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.certificates.authority()
    }
}

/// Makes an authority, and a certificate for this machine that it signed.
fn certify(authority: &Path, certificate: &Path, key: &Path) -> anyhow::Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Else its name is that of the other, which OpenSSL takes for a certificate that signed itself.
    params.distinguished_name.push(DnType::CommonName, "relay-tests authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let own_key = KeyPair::generate()?;
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&own_key, &issuer)?;
    std::fs::write(authority, issuer.pem())?;
    std::fs::write(certificate, own.pem())?;
    std::fs::write(key, own_key.serialize_pem())?;
    Ok(())
}
