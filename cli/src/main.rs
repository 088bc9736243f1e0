//! The `nemeses` binary: reads settings, then runs one station, the whole node,
//! or a tool. Wrong settings end it with code 2 before anything binds, failures
//! with code 1.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests await what they spawn"))]

mod args;
mod audit;
mod config;
mod dead_letters;
mod decode;
mod device;
mod doctor;
mod encode;
mod glue;
mod health;
mod import;
mod manual;
mod mapping;
mod mosquitto_metrics;
mod mosquitto_roles;
mod node;
mod publish;
mod replay;
mod retention;
mod rules;
mod simulate;
mod stations;
mod status;
mod tools;
mod unknown;
mod user;

use std::process::ExitCode;
use std::time::Duration;

use nemeses_runtime::logs;

use args::{Cli, Command, CommonArgs, LogFormat};
use config::Wrong;
use config::file::{Refusal, command_line};

/// SQLite allocates by it, too. It is made for one size of memory pages, and ARM has several:
/// `docs/decisions/0044-memory-of-a-node.md`.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What may still hang on the blocking pool at the end (a look-up of a name) is
/// not waited for any longer.
const LEFTOVERS: Duration = Duration::from_millis(500);
/// Wrong settings, as clap has it.
const WRONG_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    match command_line(std::env::args_os()) {
        Ok(cli) => start(cli),
        Err(Refusal::Line(error)) => error.exit(),
        Err(refusal) => refuse(&refusal),
    }
}

fn start(cli: Cli) -> ExitCode {
    if let Err(error) = start_logs(&cli.common) {
        return refuse(&error);
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(cli.command));
            runtime.shutdown_timeout(LEFTOVERS);
            outcome
        });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.downcast_ref::<Wrong>().is_some() => refuse(&format!("{error:#}")),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start_logs(common: &CommonArgs) -> anyhow::Result<()> {
    let format = match common.log_format {
        LogFormat::Human => logs::LogFormat::Human,
        LogFormat::Json => logs::LogFormat::Json,
    };
    logs::start(&common.log_filter, format)
}

/// Runs the command; `false` when it found what it was asked to look for, and
/// that is bad (books that do not balance, bytes without a frame).
/// The large ones are boxed, so that the others' future stays small.
async fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Up(args) => node::up(args.as_ref().try_into()?).await?,
        Command::Broker(args) => stations::broker((&args).try_into()?).await?,
        Command::Parser(args) => Box::pin(stations::parser((&args).try_into()?)).await?,
        Command::Dbexport(args) => Box::pin(stations::dbexport((&args).try_into()?)).await?,
        Command::Api(args) => stations::api(args.as_ref().try_into()?).await?,
        Command::Simulate(args) => simulate::run(args).await?,
        Command::Publish(args) => Box::pin(publish::run(*args)).await?,
        Command::Decode(args) => return decode::run(&args),
        Command::Mapping(command) => return mapping::run(&command),
        Command::Encode(args) => encode::run(&args)?,
        Command::Migrate(args) => tools::migrate(&args.database, args.engine).await?,
        Command::Device(command) => device::run(command).await?,
        Command::User(command) => user::run(command).await?,
        Command::DeadLetters(command) => dead_letters::run(command).await?,
        Command::Rules(command) => rules::run(command).await?,
        Command::Retention(args) => retention::run(args).await?,
        Command::Audit(args) => return audit::run(args).await,
        Command::Import(args) => return Box::pin(import::run(*args)).await,
        Command::Replay(args) => return replay::run(args).await,
        Command::MosquittoMetrics(args) => Box::pin(mosquitto_metrics::run(args)).await?,
        Command::Health(args) => return health::run(&args).await,
        Command::Status(args) => return status::run(args).await,
        Command::Doctor(args) => return Box::pin(doctor::run(args)).await,
        Command::Completions(args) => manual::completions(&args)?,
        Command::Man(args) => manual::man(&args)?,
        Command::MosquittoRoles(args) => return Box::pin(mosquitto_roles::run(*args)).await,
    }
    Ok(true)
}

fn refuse(why: &impl std::fmt::Display) -> ExitCode {
    complain(why);
    ExitCode::from(WRONG_SETTINGS)
}

#[expect(clippy::print_stderr, reason = "the last words of a program that ends")]
fn complain(why: &impl std::fmt::Display) {
    eprintln!("error: {why}");
}
