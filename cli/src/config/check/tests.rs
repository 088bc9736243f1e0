//! Tables of what is allowed and what is refused.

use clap::Parser as _;

use super::*;
use crate::args::{Cli, Command};

fn command(line: &str) -> Command {
    let line = ["nemeses"].into_iter().chain(line.split_whitespace());
    Cli::try_parse_from(line).unwrap().command
}

fn node(line: &str) -> Result<Node, String> {
    let Command::Up(args) = command(&format!("up {line}")) else { panic!("not up") };
    Node::try_from(args.as_ref()).map_err(|wrong| wrong.to_string())
}

fn parser(line: &str) -> Result<Parser, String> {
    let Command::Parser(args) = command(&format!("parser {line}")) else { panic!("not parser") };
    Parser::try_from(&args).map_err(|wrong| wrong.to_string())
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_node_starts_without_any_setting() {
    let node = node("").unwrap();
    assert_eq!(node.door.listen.to_string(), "127.0.0.1:1883");
    assert!(node.door.anonymous);
    assert_eq!(node.http.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(node.admin_listen.unwrap().to_string(), "127.0.0.1:9180");
    assert_eq!(node.database.url.expose(), "sqlite:./data/nemeses.db");
    assert!(node.database.migrate);
    assert_eq!(node.redis, None);
    assert_eq!(node.live_ttl.as_secs(), 300);
    assert_eq!(node.flush_after.as_millis(), 2);
    assert_eq!(node.frames.future_limit.as_secs(), 86_400);
    assert_eq!(node.topics, Topics::default());
    assert_eq!(node.http.jwt_secret, JwtSecret::KeptIn("./data/jwt-secret".into()));
}

#[test]
fn what_a_node_allows() {
    for line in [
        "--mqtt-listen [::1]:0 --http-listen localhost:0 --admin-listen off",
        "--mqtt-listen 0.0.0.0:1883 --mqtt-anonymous=false",
        "--mqtt-websocket-listen 0.0.0.0:80 --mqtt-anonymous=no",
        "--no-migrate",
        "--redis-url redis://h:6379/1 --topic-db /DB2",
        "--grpc-listen [::1]:5001",
        "--grpc-listen 0.0.0.0:5001 --private-network",
    ] {
        node(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    node(&format!("--database-url mysql://u:p@h/db --jwt-secret {SECRET}")).unwrap();
    assert!(!node("--no-migrate").unwrap().database.migrate);
    assert!(!node("--migrate=false").unwrap().database.migrate);
    assert_eq!(node("--admin-listen off").unwrap().admin_listen, None);
}

#[test]
fn tls_towards_servers_is_set_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(vec!["broker".to_owned()]).unwrap();
    std::fs::write(path("ca.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("empty.pem"), "").unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    std::fs::write(path("other.pem"), other.serialize_pem()).unwrap();
    let (ca, key, empty) = (path("ca.pem"), path("key.pem"), path("empty.pem"));
    let redis = "--redis-url redis://r";
    let tls = format!("{redis} --mqtt-url mqtts://u:p@b");
    for line in [
        format!("{tls} --mqtt-ca {ca}"),
        format!("{tls} --mqtt-ca {ca} --mqtt-client-cert {ca} --mqtt-client-key {key}"),
        format!("{tls} --mqtt-ca {ca} --mqtt-server-name broker"),
        format!("--redis-url rediss://r --redis-ca {ca}"),
    ] {
        parser(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    for (line, says) in [
        (format!("{redis} --mqtt-ca {ca}"), "unless mqtt-url begins with mqtts://"),
        (format!("{redis} --mqtt-server-name b"), "unless mqtt-url begins with mqtts://"),
        (format!("{tls} --mqtt-ca {ca} --mqtt-client-cert {ca}"), "mqtt-client-key is missing"),
        (format!("{tls} --mqtt-ca {ca} --mqtt-client-key {key}"), "mqtt-client-cert is missing"),
        (format!("{tls} --mqtt-ca {}", path("absent")), "the file cannot be read"),
        (format!("{tls} --mqtt-ca {empty}"), "holds none"),
        (format!("{tls} --mqtt-ca {empty}"), "mqtt-ca cannot be"),
        (
            format!("{tls} --mqtt-client-cert {ca} --mqtt-client-key {}", path("other.pem")),
            "mqtt-client-cert cannot be",
        ),
        (format!("{redis} --redis-ca {ca}"), "unless redis-url begins with rediss://"),
        (format!("--redis-url rediss://r --redis-ca {}", path("absent")), "cannot be read"),
    ] {
        let refused = parser(&line).unwrap_err();
        assert!(refused.contains(says) && !refused.contains("u:p@"), "{line}: {refused}");
    }
}

#[test]
fn refusals_name_the_setting_the_value_and_what_is_allowed() {
    for (line, parts) in [
        (
            "--mqtt-listen 0.0.0.0:1883",
            ["mqtt-listen cannot be '0.0.0.0:1883'", "--mqtt-anonymous=false"],
        ),
        (
            "--mqtt-websocket-listen 10.0.0.1:80",
            ["mqtt-websocket-listen cannot be '10.0.0.1:80'", "loopback"],
        ),
        (
            "--mqtt-tls-listen [::]:8883",
            ["mqtt-tls-listen cannot be '[::]:8883'", "--mqtt-anonymous=false"],
        ),
        (
            "--http-listen 0.0.0.0:5000",
            ["http-listen cannot be '0.0.0.0:5000'", "only loopback (127.0.0.1, [::1])"],
        ),
        (
            "--grpc-listen 0.0.0.0:5001",
            ["grpc-listen cannot be '0.0.0.0:5001'", "only loopback (127.0.0.1, [::1])"],
        ),
        ("--admin-listen 0.0.0.0:1", ["admin-listen cannot be '0.0.0.0:1'", "loopback"]),
        ("--mqtt-tls-listen 127.0.0.1:8883", ["mqtt-tls-cert is missing", "PEM"]),
        ("--mqtt-tls-key k.pem", ["mqtt-tls-key cannot be 'k.pem'", "mqtt-tls-listen"]),
        (
            "--mqtt-tls-listen 127.0.0.1:1 --mqtt-tls-cert /none/c --mqtt-tls-key /none/k",
            ["mqtt-tls-cert cannot be '/none/c'", "cannot be read"],
        ),
        ("--redis-url http://h", ["redis-url cannot be 'http://h'", "redis://HOST:PORT"]),
        ("--database-url postgres://h/x", ["database-url cannot be 'postgres://h/x'", "mysql://"]),
        ("--database-url mysql://u:p@h/db", ["jwt-secret is missing", "same secret"]),
        ("--jwt-secret short", ["jwt-secret cannot be '(not shown)'", "32 at least"]),
        ("--jwt-secret-file /none/s", ["jwt-secret-file cannot be '/none/s'", "cannot be read"]),
        (
            "--jwt-previous-secret-file /none/s",
            ["jwt-previous-secret-file cannot be '/none/s'", "cannot be read"],
        ),
        ("--topic-ping /messenger", ["topic-ping", "lie apart"]),
        ("--topic-db /messenger/db", ["topic-db cannot be '/messenger/db'", "topic-messenger"]),
    ] {
        let error = node(line).unwrap_err();
        for part in parts.into_iter().chain(["NEMESES_", "--config"]) {
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}

#[test]
fn passwords_and_secrets_are_not_printed() {
    let error = node("--database-url mysql://u:geheim@h").unwrap_err();
    assert!(error.contains("mysql://u:***@h") && !error.contains("geheim"), "{error}");
    let error = node("--jwt-secret geheim").unwrap_err();
    assert!(!error.contains("geheim"), "{error}");
    let settings = node(&format!(
        "--database-url mysql://u:geheim@h/db --redis-url redis://:geheim@h --jwt-secret {SECRET}"
    ));
    let printed = format!("{:?}", settings.unwrap());
    assert!(!printed.contains("geheim") && !printed.contains(SECRET), "{printed}");
}

#[test]
fn a_secret_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let node = node(&format!("--jwt-secret-file {}", path.display())).unwrap();
    assert_eq!(node.http.jwt_secret, JwtSecret::Given(Secret::new(SECRET)));
}

#[test]
fn stations() {
    assert!(parser("").unwrap_err().contains("redis-url is missing"));
    let third = parser("--redis-url redis://h --worker 3 --leave").unwrap();
    assert_eq!(third.worker, args::WorkerArgs { worker: 3, leave: true });
    assert_eq!(third.admin_listen.unwrap().port(), 18_003);
    assert_eq!(third.broker.url().to_string(), "mqtt://127.0.0.1:1883");
    let error = parser("--redis-url redis://h --mqtt-url mqtt://u:geheim@").unwrap_err();
    assert!(error.contains("mqtt-url cannot be 'mqtt://u:***@'"), "{error}");

    let Command::Dbexport(args) = command("dbexport --worker 999") else { panic!("no exporter") };
    let exporter = Exporter::try_from(&args).unwrap();
    assert_eq!((exporter.redis, exporter.admin_listen.unwrap().port()), (None, 19_999));
    let Command::Api(args) = command("api --redis-url redis://h") else { panic!("no api") };
    let api = Api::try_from(args.as_ref()).unwrap();
    assert_eq!((api.commands.is_none(), api.admin_listen.unwrap().port()), (true, 9182));
    let with_broker = |url: &str| {
        let line = format!("api --redis-url redis://h --commands-mqtt-url {url}");
        let Command::Api(args) = command(&line) else { panic!("no api") };
        Api::try_from(args.as_ref()).map_err(|wrong| wrong.to_string())
    };
    let commands = with_broker("mqtt://ops:geheim@h:18").unwrap().commands.unwrap();
    assert_eq!(commands.url().to_string(), "mqtt://ops:***@h:18");
    let error = with_broker("http://ops:geheim@h").unwrap_err();
    assert!(error.contains("commands-mqtt-url cannot be 'http://ops:***@h'"), "{error}");
    assert!(error.contains("NEMESES_COMMANDS_MQTT_URL"), "{error}");
    let Command::Broker(args) = command("broker") else { panic!("no broker") };
    assert_eq!(Broker::try_from(&args).unwrap().admin_listen.unwrap().port(), 9181);
}

#[test]
fn https_is_for_every_address_and_its_parts_go_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pem");
    std::fs::write(&path, "").unwrap();
    let path = path.display();
    let tls = format!("--http-listen 0.0.0.0:443 --http-tls-cert {path} --http-tls-key {path}");
    let https = node(&tls).unwrap().http;
    assert!(https.tls.is_some() && https.api.registration == Registration::Closed);
    assert!(!https.api.any_host && !https.api.first_is_admin);
    let redirect = "--http-redirect-listen 0.0.0.0:80 --public-url https://fleet.example.org";
    assert!(node(&format!("{tls} {redirect}")).unwrap().http.redirect_listen.is_some());
    for (line, [named, why]) in [
        (format!("--http-tls-cert {path}"), ["http-tls-key is missing", "go together"]),
        (format!("--http-tls-key {path}"), ["http-tls-cert is missing", "go together"]),
        (
            "--http-tls-cert /not/there --http-tls-key /not/there".to_owned(),
            ["http-tls-cert cannot be '/not/there'", "cannot be read"],
        ),
        (redirect.to_owned(), ["http-redirect-listen cannot be '0.0.0.0:80'", "--http-tls-cert"]),
        (
            format!("{tls} --http-redirect-listen 0.0.0.0:80"),
            ["http-redirect-listen cannot be '0.0.0.0:80'", "--public-url"],
        ),
    ] {
        let error = node(&line).unwrap_err();
        assert!(error.contains(named) && error.contains(why), "{line}: {error}");
    }
}

#[test]
fn people_at_this_machine_register_where_nothing_leads_there_from_elsewhere() {
    let policy = |line: &str| {
        let http = node(line).unwrap().http.api;
        (http.registration, http.first_is_admin)
    };
    assert_eq!(policy(""), (Registration::Local, true));
    assert_eq!(policy("--http-listen [::1]:5000"), (Registration::Local, true));
    assert_eq!(policy("--registration open"), (Registration::Open, true));
    for line in [
        "--registration closed",
        "--trusted-proxies 127.0.0.1",
        "--public-url https://fleet.example.org",
        "--private-network --http-listen 0.0.0.0:5000",
    ] {
        assert_eq!(policy(line), (Registration::Closed, false), "{line}");
    }
    assert!(node("--private-network").unwrap().http.api.any_host);
    let named = node("--private-network --public-url https://fleet.example.org").unwrap();
    assert!(!named.http.api.any_host);
}
