//! What a doctor wants to know of a Redis: its version, its clock, and what of its
//! settings does harm. The judgement is pure.

use redis::Pipeline;

use super::connection::Connection;
use crate::StoreError;
use crate::live::LiveInspection;

/// A key that nothing else uses, gone at once.
const TRIAL_KEY: &str = "nemeses:{doctor}";
/// A key that all accounts may read, and none writes.
const PRIMARY_KEY: &str = "live:{doctor}";
const TRIAL: &str = "return redis.call('SET', KEYS[1], '1', 'PX', 1000)";
/// Streams and the scripts' commands came with 5; ACLs, by which rights are given, with 6.
const LEAST_VERSION: u32 = 6;

pub(super) async fn inspect(connection: &Connection) -> Result<LiveInspection, StoreError> {
    let mut commands = Pipeline::new();
    if connection.is_cluster() {
        // Leads the others to a primary.
        commands.cmd("EXISTS").arg(PRIMARY_KEY).ignore();
    }
    commands.cmd("INFO").cmd("TIME");
    let (info, (seconds, micros)): (String, (u64, u64)) = connection.ask(&commands).await?;
    // Refused to stations: what is not known is not complained of.
    let mut commands = Pipeline::new();
    commands.cmd("CONFIG").arg("GET").arg("save");
    let saves: Option<(Vec<String>,)> = connection.ask(&commands).await.ok();
    let saves = saves.map(|(answer,)| answer.get(1).is_some_and(|periods| !periods.is_empty()));
    // Apart, since on a cluster they may be for different servers.
    let mut writing = Pipeline::new();
    writing.cmd("EVAL").arg(TRIAL).arg(1).arg(TRIAL_KEY);
    let mut telling = Pipeline::new();
    telling.cmd("PUBLISH").arg("nemeses:doctor").arg("");
    let mut refused = connection.ask::<redis::Value>(&writing).await.err();
    if refused.is_none() {
        refused = connection.ask::<redis::Value>(&telling).await.err();
    }
    let of = |name| field(&info, name);
    Ok(LiveInspection {
        product: product(&info),
        now_ms: Some(seconds * 1000 + micros / 1000),
        used_bytes: of("used_memory").and_then(|bytes| bytes.parse().ok()),
        refused: refused.map(|error| error.to_string()),
        weaknesses: weaknesses(&info, saves),
    })
}

/// Valkey says which Redis it is compatible with, and beside that who it is.
fn product(info: &str) -> String {
    let of = |name| field(info, name);
    match (of("valkey_version"), of("redis_version")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "Redis of an unknown version".to_owned(),
    }
}

fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    let value = |line: &'i str| line.strip_prefix(name)?.strip_prefix(':');
    info.lines().find_map(value).map(str::trim)
}

/// What is weak, and what to do. `saves`: whether snapshots are made, if known.
fn weaknesses(info: &str, saves: Option<bool>) -> Vec<String> {
    let of = |name| field(info, name).unwrap_or_default();
    let mut found = Vec::new();
    let version = of("redis_version");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < LEAST_VERSION) {
        found.push(format!(
            "it has version {version}; {LEAST_VERSION} is the least that is known to work"
        ));
    }
    if of("role") == "slave" {
        found.push("it is a replica and takes no writes; give the URL of the primary".to_owned());
    }
    let (most, policy) = (of("maxmemory"), of("maxmemory_policy"));
    if !matches!(most, "0" | "") && policy != "noeviction" {
        found.push(format!(
            "maxmemory-policy is {policy}: when memory is short, devices that send look offline; set it to noeviction"
        ));
    }
    if of("aof_enabled") == "0" && saves == Some(false) {
        found.push(
            "it keeps nothing on disk: when it restarts, live positions are rebuilt from history within seconds, and clients of the live stream begin anew; set appendonly yes if that is too long"
                .to_owned(),
        );
    }
    if of("rdb_last_bgsave_status") == "err" || of("aof_last_write_status") == "err" {
        found.push("its last write to disk failed; look at its log and its disk".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &str = "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory:0\r\n\
        maxmemory_policy:noeviction\r\naof_enabled:0\r\nrdb_last_bgsave_status:ok\r\n";

    #[test]
    fn fields_are_found_whole() {
        assert_eq!(field(WELL, "maxmemory"), Some("0"));
        assert_eq!(field(WELL, "maxmemory_policy"), Some("noeviction"));
        assert_eq!(field(WELL, "nothing"), None);
    }

    #[test]
    fn valkey_is_named_as_such() {
        assert_eq!(product(WELL), "Redis 7.0.15");
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.1\r\n";
        assert_eq!(product(valkey), "Valkey 9.0.1");
        assert_eq!(product(""), "Redis of an unknown version");
    }

    #[test]
    fn each_weakness_is_told_alone() {
        assert_eq!(weaknesses(WELL, Some(true)), [""; 0]);
        assert_eq!(weaknesses(WELL, None), [""; 0], "what is not known is not complained of");
        assert_eq!(weaknesses("", None), [""; 0]);
        let cases = [
            (WELL.replace("7.0", "5.0"), Some(true), "version 5.0"),
            (WELL.replace("master", "slave"), Some(true), "replica"),
            (
                WELL.replace("maxmemory:0", "maxmemory:9").replace("noeviction", "allkeys-lru"),
                Some(true),
                "allkeys-lru",
            ),
            (WELL.to_owned(), Some(false), "keeps nothing on disk"),
            (WELL.replace("status:ok", "status:err"), Some(true), "write to disk failed"),
        ];
        for (info, saves, says) in cases {
            let found = weaknesses(&info, saves);
            assert!(found.len() == 1 && found[0].contains(says), "{says}: {found:?}");
        }
    }
}
