//! Flags of traces. The variables that all programs with OpenTelemetry know are looked
//! at behind them, in `config::traces`.

use clap::Args;

use crate::config;

/// Traces.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Traces")]
pub(crate) struct TraceArgs {
    /// Send traces to this OpenTelemetry collector (OTLP over HTTP, for example
    /// http://127.0.0.1:4318). Without it and without OTEL_EXPORTER_OTLP_ENDPOINT,
    /// nothing is traced
    #[arg(long, env = "NEMESES_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
    /// The share of frames and requests that are sampled, 0 to 1, in addition to those
    /// whose sender asks for a trace by a traceparent; default 0.001, or
    /// OTEL_TRACES_SAMPLER_ARG
    #[arg(long, env = "NEMESES_TRACE_SAMPLE", value_parser = config::share, value_name = "SHARE")]
    pub(crate) trace_sample: Option<f64>,
}
