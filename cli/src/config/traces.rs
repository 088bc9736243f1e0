//! Settings of traces: flags of our own, and behind them the variables that all
//! programs with OpenTelemetry know.

use nemeses_runtime::traces::{Collector, Ratio};

use super::Wrong;
use crate::args::TraceArgs;

/// Of frames and requests that nobody asked to be followed, one in a thousand.
const DEFAULT_SHARE: f64 = 0.001;

/// Where traces go and how many there are.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    /// As it was written, to be shown.
    pub(crate) endpoint: String,
    pub(crate) collector: Collector,
    pub(crate) ratio: Ratio,
    /// Instead of `nemeses-parser` and so on.
    pub(crate) service_name: Option<String>,
}

/// Reads `--trace-sample`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|share| Ratio::new(*share).is_some());
    read.ok_or_else(|| "write a share from 0 (none) to 1 (all), for example 0.001".to_owned())
}

/// The settings of traces; `None` when there are to be none.
pub(crate) fn traces(args: &TraceArgs) -> Result<Option<Traces>, Wrong> {
    checked(args, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn checked(
    args: &TraceArgs,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<Traces>, Wrong> {
    let disabled = environment("OTEL_SDK_DISABLED").is_some_and(|value| value == "true")
        || environment("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    let standard = || environment("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|_| !disabled);
    let Some(endpoint) = args.otlp_endpoint.clone().or_else(standard) else { return Ok(None) };
    let shown = fit_to_be_shown(&endpoint);
    let wrong = |why: &dyn std::fmt::Display| {
        let why = format!("{why}; write for example http://127.0.0.1:4318");
        Wrong::new("otlp-endpoint", &shown, why)
    };
    let mut collector = Collector::at(&endpoint).map_err(|why| wrong(&why))?;
    if let Some(headers) = environment("OTEL_EXPORTER_OTLP_HEADERS") {
        collector = collector.with_headers(&headers).map_err(|why| {
            Wrong::new("otlp-endpoint", &shown, format!("OTEL_EXPORTER_OTLP_HEADERS: {why}"))
        })?;
    }
    let service_name = environment("OTEL_SERVICE_NAME");
    let share = match args.trace_sample {
        Some(share) => share,
        None => standard_share(environment)?,
    };
    let ratio = Ratio::new(share)
        .ok_or_else(|| Wrong::new("trace-sample", share, "it is no share from 0 to 1"))?;
    Ok(Some(Traces { endpoint, collector, ratio, service_name }))
}

/// An address without what may be a secret in it: a login, what follows `?`.
fn fit_to_be_shown(endpoint: &str) -> String {
    let (address, query) = endpoint.split_once('?').map_or((endpoint, ""), |(a, _)| (a, "?..."));
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(s, r)| (s, r));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let colon = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{colon}{rest}{query}")
}

/// What the standard variables make of the share. Parents are respected in any case.
fn standard_share(environment: impl Fn(&str) -> Option<String>) -> Result<f64, Wrong> {
    let ratio = || match environment("OTEL_TRACES_SAMPLER_ARG") {
        None => Ok(DEFAULT_SHARE),
        Some(text) => share(&text).map_err(|why| {
            Wrong::new("trace-sample", text, format!("OTEL_TRACES_SAMPLER_ARG says so; {why}"))
        }),
    };
    match environment("OTEL_TRACES_SAMPLER").as_deref() {
        Some("always_on" | "parentbased_always_on") => Ok(1.0),
        Some("always_off" | "parentbased_always_off") => Ok(0.0),
        None | Some("traceidratio" | "parentbased_traceidratio") => ratio(),
        Some(other) => Err(Wrong::new(
            "trace-sample",
            other,
            "OTEL_TRACES_SAMPLER says so; it may be always_on, always_off or traceidratio, each also behind parentbased_",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(
        (endpoint, share): (Option<&str>, Option<f64>),
        variables: &[(&str, &str)],
    ) -> Result<Option<Traces>, String> {
        let args = TraceArgs { otlp_endpoint: endpoint.map(str::to_owned), trace_sample: share };
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        checked(&args, find).map_err(|wrong| wrong.to_string())
    }

    const HERE: &str = "http://127.0.0.1:4318";

    #[test]
    fn nothing_is_traced_unless_it_is_wanted() {
        assert!(with((None, Some(1.0)), &[]).unwrap().is_none());
        let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", HERE);
        assert_eq!(with((None, None), &[standard]).unwrap().unwrap().endpoint, HERE);
        let disabled = [standard, ("OTEL_SDK_DISABLED", "true")];
        assert!(with((None, None), &disabled).unwrap().is_none());
        let none = [standard, ("OTEL_TRACES_EXPORTER", "none")];
        assert!(with((None, None), &none).unwrap().is_none());
        let ours = with((Some("http://c:1"), None), &[standard]).unwrap().unwrap();
        assert_eq!(ours.endpoint, "http://c:1");
    }

    #[test]
    fn the_share_is_ours_or_the_standard_s() {
        let share = |ours, variables: &[(&str, &str)]| {
            with((Some(HERE), ours), variables).map(|read| read.unwrap().ratio)
        };
        let of = |share| Ok(Ratio::new(share).unwrap());
        let (sampler, arg) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
        assert_eq!(share(None, &[]), of(0.001));
        assert_eq!(share(None, &[(arg, "0.25")]), of(0.25));
        assert_eq!(share(Some(0.5), &[(arg, "0.25")]), of(0.5));
        assert_eq!(share(None, &[(sampler, "parentbased_always_on")]), of(1.0));
        assert_eq!(share(None, &[(sampler, "always_off"), (arg, "1")]), of(0.0));
        let refused = share(None, &[(arg, "2")]).unwrap_err();
        assert!(
            refused.contains("OTEL_TRACES_SAMPLER_ARG") && refused.contains("'2'"),
            "{refused}"
        );
        let refused = share(None, &[(sampler, "jaeger_remote")]).unwrap_err();
        assert!(refused.contains("OTEL_TRACES_SAMPLER says so"), "{refused}");
    }

    #[test]
    fn a_wrong_address_is_named() {
        let refused = with((Some("https://otel.example.org"), None), &[]).unwrap_err();
        assert!(
            refused.starts_with("otlp-endpoint cannot be 'https://otel.example.org'"),
            "{refused}"
        );
        for secret in ["http://me:secret@c:4318", "https://c/?api-key=secret", "me:secret@c"] {
            let refused = with((Some(secret), None), &[]).unwrap_err();
            assert!(refused.contains('c') && !refused.contains("secret"), "{refused}");
        }
        let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "secret")];
        let refused = with((Some(HERE), None), &headers).unwrap_err();
        assert!(refused.contains("OTEL_EXPORTER_OTLP_HEADERS") && !refused.contains("secret"));
        let named = with((Some(HERE), None), &[("OTEL_SERVICE_NAME", "fleet")]).unwrap();
        assert_eq!(named.unwrap().service_name.as_deref(), Some("fleet"));
        assert!(super::share("1.5").is_err() && super::share("x").is_err());
    }
}
