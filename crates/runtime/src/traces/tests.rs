use prometheus_client::encoding::text::encode;

use super::queue::{EXPORT_SPANS, MOST_WAITING};
use super::*;

fn tracer(share: f64) -> (Tracer, Registry) {
    let mut registry = Registry::default();
    let collector = Collector::at("http://127.0.0.1:1").unwrap();
    let ratio = Ratio::new(share).unwrap();
    let (tracer, _delivery) = Tracer::new(ratio, collector, Vec::new(), &mut registry);
    (tracer, registry)
}

const fn asked(sampled: bool) -> TraceContext {
    TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled }
}

fn spans(tracer: &Tracer) -> Vec<record::SpanData> {
    tracer.0.as_ref().unwrap().queue.take()
}

#[test]
fn a_tracer_that_is_off_follows_nothing() {
    let off = Tracer::off();
    assert!(!off.is_on());
    assert!(off.begin("publish", SpanKind::Server, Some(asked(true))).is_none());
    assert!(off.below(&asked(true), "decode", SpanKind::Internal, 0).is_none());
}

#[test]
fn who_asks_is_followed_and_who_does_not_want_it_is_not() {
    for share in [0.0, 1.0] {
        let (tracer, _) = tracer(share);
        assert!(tracer.begin("publish", SpanKind::Server, Some(asked(false))).is_none());
        let span = tracer.begin("publish", SpanKind::Server, Some(asked(true))).unwrap();
        let context = span.context();
        assert_eq!((context.trace_id, context.sampled), ([1; 16], true));
        assert_ne!(context.span_id, [2; 8]);
        assert_eq!(tracer.begin("publish", SpanKind::Server, None).is_some(), share > 0.5);
    }
}

#[test]
fn children_bear_their_parents() {
    let (tracer, _) = tracer(1.0);
    let root = tracer.begin("publish", SpanKind::Server, None).unwrap().with("rows", 3_usize);
    let child = tracer.below(&root.context(), "decode", SpanKind::Internal, now_ns()).unwrap();
    child.end();
    root.end();
    let told = spans(&tracer);
    assert_eq!([told[0].name, told[1].name], ["decode", "publish"]);
    assert_eq!(told[0].trace_id, told[1].trace_id);
    assert_eq!(told[0].parent, Some(told[1].span_id));
    assert_eq!(told[1].parent, None);
    assert_eq!(told[1].attributes, [("rows", Value::Number(3))]);
    assert!(told[0].start_ns >= told[1].start_ns && told[0].end_ns <= told[1].end_ns);
    assert!(told.iter().all(|span| span.failure.is_none()));
}

#[test]
fn what_is_given_up_is_a_failure_and_time_does_not_run_backwards() {
    let (tracer, _) = tracer(1.0);
    drop(tracer.begin("publish", SpanKind::Server, None));
    tracer.begin("publish", SpanKind::Server, None).unwrap().end_at(0);
    let told = spans(&tracer);
    assert_eq!(told[0].failure, Some("given up before its end"));
    assert_eq!(told[1].start_ns, told[1].end_ns);
}

#[test]
fn the_queue_is_bounded_and_what_is_dropped_is_counted() {
    let (tracer, registry) = tracer(1.0);
    for _ in 0..MOST_WAITING + 5 {
        tracer.begin("publish", SpanKind::Server, None).unwrap().end();
    }
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    assert!(text.contains("nemeses_traces_dropped_total{reason=\"queue_full\"} 5"), "{text}");
    assert!(text.contains(&format!("nemeses_traces_waiting {MOST_WAITING}")), "{text}");
    assert_eq!(spans(&tracer).len(), EXPORT_SPANS);
}
