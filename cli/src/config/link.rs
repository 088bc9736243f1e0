//! Brokers to connect to, and TLS towards them: from what was written to what is meant.

use std::fmt;

use nemeses_mqtt::{Broker, BrokerUrl, ParseBrokerUrlError, TlsFiles};

use super::Wrong;
use super::check::{certificate, readable};
use super::url::without_password;
use crate::args;

/// The broker to connect to.
pub(crate) fn link(args: &args::LinkArgs) -> Result<Broker, Wrong> {
    broker_at("mqtt-url", Some(&args.mqtt_url), &args.tls)?
        .ok_or_else(|| Wrong::missing("mqtt-url", ParseBrokerUrlError.to_string()))
}

pub(super) fn commands(args: &args::CommandArgs) -> Result<Option<Broker>, Wrong> {
    broker_at("commands-mqtt-url", args.commands_mqtt_url.as_ref(), &args.tls)
}

/// The broker at this URL, if there is one, and what TLS to it takes.
fn broker_at(
    setting: &'static str,
    url: Option<&String>,
    tls: &args::LinkTlsArgs,
) -> Result<Option<Broker>, Wrong> {
    let parsed = url.map(|url| url.parse::<BrokerUrl>()).transpose();
    let shown = url.map_or(String::new(), |url| without_password(url));
    let parsed = parsed.map_err(|allowed| Wrong::new(setting, &shown, allowed.to_string()))?;
    let files = [
        ("mqtt-ca", &tls.mqtt_ca),
        ("mqtt-client-cert", &tls.mqtt_client_cert),
        ("mqtt-client-key", &tls.mqtt_client_key),
    ];
    let by_tls = parsed.as_ref().is_some_and(|url| url.tls);
    for (name, path) in files {
        if let Some(path) = path.as_ref().filter(|_| !by_tls) {
            return Err(of_no_use(name, path.display(), setting));
        }
    }
    if let Some(name) = tls.mqtt_server_name.as_ref().filter(|_| !by_tls) {
        return Err(of_no_use("mqtt-server-name", name, setting));
    }
    if let Some(ca) = &tls.mqtt_ca {
        readable("mqtt-ca", ca)?;
    }
    let [_, cert, key] = files;
    let wanted = ["mqtt-client-key wants its certificate", "mqtt-client-cert wants its key too"];
    let identity = certificate([cert, key], wanted)?;
    let Some(url) = parsed else { return Ok(None) };
    let server_name = tls.mqtt_server_name.clone();
    let files = TlsFiles { ca: tls.mqtt_ca.clone(), identity: None, server_name };
    // One after the other, so that the setting that is wrong is the one that is blamed.
    let of_authorities = files
        .ca
        .as_ref()
        .map_or_else(|| (setting, shown.clone()), |path| ("mqtt-ca", path.display().to_string()));
    let broker = usable(Broker::new(url.clone(), files.clone()), of_authorities)?;
    let Some((certificate, _)) = &identity else { return Ok(Some(broker)) };
    let of_ours = ("mqtt-client-cert", certificate.display().to_string());
    Ok(Some(usable(Broker::new(url, TlsFiles { identity, ..files }), of_ours)?))
}

fn usable(broker: Broker, (setting, shown): (&'static str, String)) -> Result<Broker, Wrong> {
    broker.check_files().map_err(|error| Wrong::new(setting, shown, error.to_string()))?;
    Ok(broker)
}

fn of_no_use(name: &'static str, value: impl fmt::Display, setting: &str) -> Wrong {
    Wrong::new(name, value, format!("it is of no use unless {setting} begins with mqtts://"))
}
