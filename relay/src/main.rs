//! The command line: a configuration, and what to do with it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program people run in a terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use relay::app::{App, minter, problems};
use relay::auth::{RightsClaim, TokenRequest};
use relay::config::{Config, ConfigError, markdown, text};
use relay::lifecycle;
use relay::telemetry;

/// Measured: the one allocator that gave memory back after a storm (ARCHITECTURE.md, decisions).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What a configuration that cannot be used exits with, as `sysexits.h` has it.
const EXIT_CONFIG: u8 = 78;

/// A message relay for AI agents in browsers.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve; also what is done without a command.
    Serve(Box<Config>),
    /// Check a configuration, and exit.
    Check(Box<Config>),
    /// Print the reference of every setting.
    Config {
        /// As a Markdown page.
        #[arg(long)]
        markdown: bool,
    },
    /// Make a token with a local key.
    Token(Box<TokenArgs>),
}

#[derive(Debug, Args)]
struct TokenArgs {
    /// Tenant.
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Agent.
    #[arg(long, value_name = "NAME")]
    agent: String,
    /// Life, in seconds.
    #[arg(long, value_name = "S", default_value_t = 3_600)]
    ttl_s: u64,
    /// Topic pattern it may publish to; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<String>,
    /// Topic pattern it may subscribe to; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<String>,
    /// Address it may send to, like `agent/*`; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    send: Vec<String>,
    /// Pattern of groups it may join; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    join: Vec<String>,
    /// Address whose presence it may watch, like `topic/*`; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    watch: Vec<String>,
    /// May administrate its tenant.
    #[arg(long)]
    admin: bool,
    /// Private key to sign with, in PEM; otherwise `RELAY_AUTH_HMAC_SECRET` is used.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Which key the relay is to check it with.
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    #[command(flatten)]
    auth: relay::config::auth::AuthConfig,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => serve(&cli.config),
        Some(Command::Serve(config)) => serve(&config),
        Some(Command::Check(config)) => return check(&config),
        Some(Command::Token(args)) => token(&args).map(|token| println!("{token}")),
        Some(Command::Config { markdown: as_page }) => {
            let command = Cli::command();
            print!("{}", if as_page { markdown(&command) } else { text(&command) });
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agent-relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong, all of it.
fn check(config: &Config) -> ExitCode {
    if tell(&problems(config)) {
        return ExitCode::from(EXIT_CONFIG);
    }
    println!("the configuration is fit to be used");
    ExitCode::SUCCESS
}

/// Says whether there was something to tell.
fn tell(problems: &[ConfigError]) -> bool {
    for problem in problems {
        eprintln!("agent-relay: {problem}");
    }
    !problems.is_empty()
}

fn serve(config: &Config) -> anyhow::Result<()> {
    if tell(&problems(config)) {
        std::process::exit(i32::from(EXIT_CONFIG));
    }
    telemetry::logs::start(&config.telemetry);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("runtime")?;
    let ended = runtime.block_on(async {
        let app = App::start(config).await?;
        let address = app.address();
        tracing::info!(%address, "listening");
        if config.server.dev {
            println!(
                "\n  Relay    ws://{address}/ws\n  Console  http://{address}/console\n\n  Ctrl-C stops it.\n"
            );
        }
        lifecycle::terminated().await.context("signals")?;
        tracing::info!("leaving");
        anyhow::Ok(app.leave().await)
    })?;
    // What is still running had its time; waiting for it would only end in being killed.
    runtime.shutdown_timeout(Duration::ZERO);
    tracing::info!(all_ended = ended, "left");
    Ok(())
}

fn token(args: &TokenArgs) -> anyhow::Result<String> {
    let request = TokenRequest {
        tenant: args.tenant.clone(),
        agent: args.agent.clone(),
        ttl: Duration::from_secs(args.ttl_s),
        rights: RightsClaim {
            publish: args.publish.clone(),
            subscribe: args.subscribe.clone(),
            send: args.send.clone(),
            join: args.join.clone(),
            watch: args.watch.clone(),
            admin: args.admin,
        },
    };
    Ok(minter(&args.auth, args.key.as_deref(), args.kid.as_deref())?
        .mint(&request, std::time::SystemTime::now())?)
}
