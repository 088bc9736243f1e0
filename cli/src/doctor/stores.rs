//! The database and Redis: are they there, do they take this login and grant it what
//! it needs, do their tables and clocks fit, and how durable are they?

use std::time::Duration;

use nemeses_runtime::Clock;
use nemeses_store::StoreError;
use nemeses_store::history::{Backlog, History, Inspection, Options, open};
use nemeses_store::live::{Alive, RedisOptions, open_with};

use super::delivery::Workers;
use super::finding::Finding;
use crate::config;
use crate::glue::older_among;

const DATABASE: &str = "database";
const REDIS: &str = "redis";
const CLOCKS: &str = "clocks";
/// A server that answers later than this is not one to work with.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Clocks that lie further apart are told: frames of the future are judged by them.
const CLOCKS_APART_MS: u64 = 2_000;
/// Sums of days that are further behind are told; a quarter of an hour is usual.
const SUMS_LAG_TOO_LONG_S: u32 = 3_600;

/// What a station does with its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Logins are read.
    Reading,
    /// Frames are stored.
    Frames,
    /// Accounts and devices are written.
    People,
    /// Both.
    Everything,
}

/// Looks at the database.
pub(super) async fn database(settings: &config::Database, needs: Needs) -> Vec<Finding> {
    let url = &settings.url;
    if let Some(path) = url.file().filter(|path| matches!(path.try_exists(), Ok(false))) {
        let says = format!("{} is not there yet; it will be made", path.display());
        return vec![if settings.migrate {
            Finding::good(DATABASE, says)
        } else {
            Finding::wrong(
                DATABASE,
                format!(
                    "{} is not there, and --no-migrate keeps it from being made; run nemeses migrate",
                    path.display()
                ),
            )
        }];
    }
    let options = Options {
        max_connections: 1,
        acquire_timeout: ANSWER_WITHIN,
        statement_timeout: ANSWER_WITHIN,
        engine: None,
    };
    let database = match open(url.expose(), options).await {
        Ok(database) => database,
        Err(error) => return vec![refused(url, &error)],
    };
    let history = database.history();
    if let Err(error) = history.ping().await {
        return vec![refused(url, &error)];
    }
    if let Err(error) = history.check_schema().await {
        let before = history.schema_version().await.unwrap_or(u32::MAX);
        let later = error.to_string().contains("newer");
        return vec![if settings.migrate && !later {
            Finding::weak(
                DATABASE,
                format!(
                    "{url} is there; its tables have version {before} and will be made or upgraded at the next start"
                ),
            )
        } else {
            Finding::wrong(DATABASE, error.to_string())
        }];
    }
    let mut findings = inspected(url, history.as_ref(), needs, settings.migrate).await;
    let backlog = database.daily().backlog().await.ok();
    findings.extend(backlog.map(|backlog| sums(&backlog, Clock::system().now_s())));
    findings
}

/// How far the sums of days are behind.
fn sums(backlog: &Backlog, now_s: u32) -> Finding {
    const ABOUT: &str = "sums of days";
    let lag_min = backlog.lag_s(now_s) / 60;
    let days = backlog.marks;
    if lag_min * 60 <= SUMS_LAG_TOO_LONG_S {
        return Finding::good(
            ABOUT,
            format!("hold what arrived until {lag_min} min ago; {days} days wait"),
        );
    }
    Finding::weak(
        ABOUT,
        format!(
            "are {lag_min} min behind, {days} days wait; a node or exporter adds them up while it \
             runs, see SumsLag in docs/operations.md"
        ),
    )
}

/// Whether the server's certificate is not trusted, in the words of the libraries.
fn is_of_certificate(error: &StoreError) -> bool {
    error.to_string().contains("certificate")
}

fn refused(url: &config::DatabaseUrl, error: &StoreError) -> Finding {
    let advice = if is_of_certificate(error) {
        "name the certificate of its authority (?ssl-ca=PATH in --database-url), and use the name in its certificate"
    } else if error.is_transient() {
        "is it running, and does its address fit? (--database-url, a firewall, bind-address)"
    } else {
        "check user, password and database in --database-url; deploy/accounts/mysql.sh makes the accounts"
    };
    Finding::wrong(DATABASE, format!("{url} cannot be used: {error}\n{advice}"))
}

async fn inspected(
    url: &config::DatabaseUrl,
    history: &dyn History,
    needs: Needs,
    migrate: bool,
) -> Vec<Finding> {
    let found = match history.inspect().await {
        Ok(found) => found,
        Err(error) => return vec![refused(url, &error)],
    };
    let mut findings =
        vec![Finding::good(DATABASE, format!("{url} is {}, its tables fit", found.product))];
    let refused = rights(&found, needs, migrate);
    let stores_frames = matches!(needs, Needs::Frames | Needs::Everything);
    if stores_frames && found.frames_refused.is_none() {
        findings.push(match history.rehearse().await {
            Ok(()) => Finding::good(DATABASE, "a commit of a frame was tried and taken back"),
            Err(error) => Finding::wrong(
                DATABASE,
                format!("a frame cannot be committed: {error}\nwere the tables made or changed by hand? nemeses migrate makes them in an empty database"),
            ),
        });
    }
    findings.extend(refused);
    // Whoever may not read the settings is not told of them.
    let weaknesses = history.weaknesses().await.unwrap_or_default();
    findings.extend(weaknesses.into_iter().map(|weakness| Finding::weak(DATABASE, weakness)));
    findings.extend(found.now_ms.map(|at_ms| clock("the database", at_ms)));
    findings
}

/// What the login lacks.
fn rights(found: &Inspection, needs: Needs, migrate: bool) -> Vec<Finding> {
    let wanted = [
        (
            &found.frames_refused,
            matches!(needs, Needs::Frames | Needs::Everything),
            "to store frames",
        ),
        (
            &found.people_refused,
            matches!(needs, Needs::People | Needs::Everything),
            "for accounts and devices",
        ),
    ];
    let mut findings: Vec<_> = wanted
        .into_iter()
        .filter(|(_, needed, _)| *needed)
        .filter_map(|(refused, _, what)| {
            let refused = refused.as_ref()?;
            Some(Finding::wrong("rights", format!("the database refuses what is needed {what}: {refused}\nrun deploy/accounts/mysql.sh again, which repairs rights")))
        })
        .collect();
    if migrate && !found.may_migrate {
        findings.push(Finding::weak(
            "rights",
            "this login may not make tables; that is well, but start the station with --no-migrate, and run nemeses migrate as their owner after an upgrade",
        ));
    }
    findings
}

/// Looks at Redis, and at the processes that announce themselves there.
pub(super) async fn redis(url: &config::RedisUrl, ttl: Duration) -> Vec<Finding> {
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let options =
        RedisOptions { answer_within: ANSWER_WITHIN, root_certificates: url.certificates() };
    let clock_here = Clock::system();
    let live = match open_with(Some(url.expose()), ttl_ms, clock_here.clone(), options) {
        Ok(live) => live,
        Err(error) => return vec![Finding::wrong(REDIS, error.to_string())],
    };
    let found = match live.inspect().await {
        Ok(found) => found,
        Err(error) => {
            let advice = if is_of_certificate(&error) {
                "\nname the certificate of its authority (--redis-ca), and use the name in its certificate"
            } else if error.is_transient() {
                "\nis it running, and does its address fit? (--redis-url, a firewall, bind in redis.conf)"
            } else {
                ""
            };
            return vec![Finding::wrong(REDIS, format!("{url} cannot be used: {error}{advice}"))];
        }
    };
    let mut findings = vec![Finding::good(REDIS, format!("{url} is {}", found.product))];
    if let Some(refused) = found.refused {
        findings.push(Finding::wrong("rights", format!("Redis refuses what a station needs: {refused}\nmake its accounts with deploy/accounts/redis.sh")));
    }
    findings.extend(found.weaknesses.into_iter().map(|weakness| Finding::weak(REDIS, weakness)));
    findings.extend(found.now_ms.map(|at_ms| clock("Redis", at_ms)));
    if let Ok(alive) = live.workers().await {
        findings.extend(processes(&alive, clock_here.now_ms()));
    }
    findings
}

/// The workers that announce themselves; `None` when Redis does not say.
pub(super) async fn workers(url: &config::RedisUrl, ttl: Duration) -> Option<Workers> {
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let options =
        RedisOptions { answer_within: ANSWER_WITHIN, root_certificates: url.certificates() };
    let live = open_with(Some(url.expose()), ttl_ms, Clock::system(), options).ok()?;
    let alive = live.workers().await.ok()?;
    let parsers = alive.iter().filter(|alive| alive.worker.role == "parser").count();
    Some(Workers { parsers, some_older: older_among(&alive).is_some() })
}

fn clock(whose: &str, at_ms: u64) -> Finding {
    judge_clock(whose, at_ms, Clock::system().now_ms())
}

fn judge_clock(whose: &str, at_ms: u64, now_ms: u64) -> Finding {
    let apart_ms = at_ms.abs_diff(now_ms);
    if apart_ms < CLOCKS_APART_MS {
        return Finding::good(CLOCKS, format!("{whose}'s clock and this machine's agree"));
    }
    let side = if at_ms < now_ms { "behind" } else { "ahead of" };
    Finding::weak(
        CLOCKS,
        format!(
            "{whose}'s clock is {} s {side} this machine's; have both set by NTP (timedatectl)",
            apart_ms / 1000
        ),
    )
}

/// Processes with another version or another time.
fn processes(alive: &[Alive], now_ms: u64) -> Vec<Finding> {
    const ABOUT: &str = "processes";
    let ours = env!("CARGO_PKG_VERSION");
    let mut findings = Vec::new();
    for seen in alive {
        let name = &seen.worker.name;
        let ahead_ms = seen.clock_ahead_ms(now_ms);
        if ahead_ms.unsigned_abs() >= CLOCKS_APART_MS {
            let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
            let apart_s = ahead_ms.unsigned_abs() / 1000;
            findings.push(Finding::weak(CLOCKS, format!("the clock of {name} on {} is {apart_s} s {side} this machine's; have both set by NTP (timedatectl)", seen.worker.host)));
        }
        if seen.worker.version != ours {
            findings.push(Finding::weak(ABOUT, format!("{name} on {} has version {}, this program {ours}; upgrade exporters before parsers, nodes one by one", seen.worker.host, seen.worker.version)));
        }
    }
    if findings.is_empty() {
        let count = alive.len();
        findings
            .push(Finding::good(ABOUT, format!("{count} announced, all of this version and time")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::Worker;

    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn clocks_that_differ_are_told_with_their_side() {
        assert_eq!(judge_clock("Redis", 10_000, 11_999).verdict, Verdict::Good);
        let behind = judge_clock("Redis", 10_000, 15_000);
        assert!(
            behind.verdict == Verdict::Weak && behind.says.contains("5 s behind"),
            "{behind:?}"
        );
        assert!(judge_clock("Redis", 15_000, 10_000).says.contains("5 s ahead of"));
    }

    #[test]
    fn sums_that_are_far_behind_are_told() {
        let backlog = |oldest_slot| Backlog { marks: 7, oldest_slot };
        let told = |backlog: &Backlog| sums(backlog, 6_000_000);
        assert_eq!(told(&backlog(None)).verdict, Verdict::Good);
        let usual = told(&backlog(Some(9_998)));
        assert!(usual.verdict == Verdict::Good && usual.says.contains("20 min"), "{usual:?}");
        let behind = told(&backlog(Some(9_900)));
        assert!(behind.verdict == Verdict::Weak && behind.says.contains("1000 min"), "{behind:?}");
        assert!(behind.says.contains("7 days wait"), "{behind:?}");
    }

    #[test]
    fn processes_of_another_version_or_time_are_named() {
        let worker = |name: &str, version: &str, seen_at_ms| Alive {
            worker: Worker { seen_at_ms, ..Worker::here(name, "parser", version, 1) },
            silent_ms: 1_000,
        };
        let ours = env!("CARGO_PKG_VERSION");
        let found = processes(&[worker("parser-0", ours, 99_000)], 100_000);
        assert!(found.len() == 1 && found[0].verdict == Verdict::Good, "{found:?}");
        let found = processes(
            &[worker("parser-0", "0.0.1", 99_000), worker("parser-1", ours, 92_000)],
            100_000,
        );
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].says.contains("parser-0") && found[0].says.contains("0.0.1"));
        assert!(found[1].says.contains("parser-1") && found[1].says.contains("7 s behind"));
    }

    #[test]
    fn only_what_a_station_needs_is_wrong() {
        let found = Inspection {
            product: "MariaDB 11".to_owned(),
            now_ms: None,
            frames_refused: Some("INSERT command denied".to_owned()),
            people_refused: None,
            may_migrate: false,
        };
        let verdicts = |needs, migrate| -> Vec<_> {
            rights(&found, needs, migrate).into_iter().map(|finding| finding.verdict).collect()
        };
        assert_eq!(verdicts(Needs::People, false), []);
        assert_eq!(verdicts(Needs::Reading, false), []);
        assert_eq!(verdicts(Needs::Frames, false), [Verdict::Wrong]);
        assert_eq!(verdicts(Needs::Everything, true), [Verdict::Wrong, Verdict::Weak]);
    }
}
