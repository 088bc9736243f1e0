//! Conditions: what is read, what is refused and where, and that what is written is read again.
#![expect(
    clippy::unwrap_used,
    clippy::unnecessary_box_returns,
    reason = "a test fails where it stands"
)]

use nemeses_rules::{Arithmetic, Comparison, Expression, Field, MAX_CONDITION_CHARS, Name, parse};
use proptest::prelude::*;

fn read(text: &str) -> Expression {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).expression
}

fn refused(text: &str) -> (usize, String) {
    let error = parse(text).unwrap_err();
    (error.column, error.message)
}

fn name(text: &str) -> Box<Expression> {
    Box::new(Expression::Newest(Name::Channel(text.into())))
}

fn number(number: f64) -> Box<Expression> {
    Box::new(Expression::Number(number))
}

#[test]
fn and_binds_closer_than_or_and_sums_closer_than_comparisons() {
    let hot = Expression::Compare(Comparison::Greater, name("temperature"), number(85.0));
    let wet = Expression::Compare(Comparison::AtLeast, name("humidity.1"), number(0.5));
    let on = Expression::Newest(Name::Field(Field::Ignition));
    let expected = Expression::Or(
        Box::new(hot),
        Box::new(Expression::And(Box::new(wet), Box::new(Expression::Not(Box::new(on))))),
    );
    assert_eq!(read("temperature > 85 or humidity.1 >= 0.5 and not ignition"), expected);
    assert_eq!(
        read("temperature > 85 || humidity.1 >= .5e0 && !ignition".replace(".5e0", "0.5").as_str()),
        expected
    );
    let sum = Expression::Compute(
        Arithmetic::Add,
        name("a"),
        Box::new(Expression::Compute(Arithmetic::Multiply, number(2.0), name("b"))),
    );
    assert_eq!(
        read("a + 2 * b < -1"),
        Expression::Compare(Comparison::Less, Box::new(sum), number(-1.0))
    );
}

#[test]
fn functions_and_names() {
    let speed = Name::Field(Field::SpeedKmh);
    let compare = |one| Expression::Compare(Comparison::Greater, Box::new(one), number(1.0));
    assert_eq!(read("rate(speed) > 1"), compare(Expression::Rate(speed.clone())));
    assert_eq!(read("avg(speed_kmh, 5m) > 1"), compare(Expression::Mean(speed, 300_000)));
    assert_eq!(read("distance_to(-1.5, 170) > 1"), compare(Expression::DistanceTo(-1.5, 170.0)));
    assert_eq!(read("inside(12)"), Expression::Inside(12));
    assert_eq!(read("age() > 1"), compare(Expression::Age(None)));
    let odd = Name::Channel("Öl \"rot\" [Cel]".into());
    assert_eq!(read(r#"age(channel('Öl "rot" [Cel]')) > 1"#), compare(Expression::Age(Some(odd))));
    assert_eq!(read("channel(\"speed\") > 1"), compare(*name("speed")));
    assert_eq!(parse("inside(3) or inside(4)").unwrap().fences, [(3, 8), (4, 21)]);
}

#[test]
fn what_is_wrong_is_said_with_its_column() {
    for (text, column, words) in [
        ("", 1, "a value is expected"),
        ("speed >", 8, "a value is expected"),
        ("speed > 5 and", 14, "a value is expected"),
        ("speed > 5 ignition", 11, "join conditions"),
        ("speed = 5", 7, "`==`"),
        ("speed", 0, ""),
        ("speed + 1", 1, "no condition"),
        ("speed > 5 and 3", 15, "no condition"),
        ("1 < speed < 5", 3, "do not chain"),
        ("speed > 5 # x", 11, "not part of the language"),
        ("speed > 'x", 9, "closing quote"),
        ("speed > 5x", 9, "no number"),
        ("(speed > 5", 11, "`)` is expected"),
        ("foo(speed) > 5", 1, "no function `foo`"),
        ("avg(speed, 5s) > 5", 12, "window from 10s to 24h"),
        ("avg(speed, 5) > 5", 12, "window from 10s to 24h"),
        ("avg(5, 5m) > 5", 5, "name of a channel"),
        ("inside(depot)", 8, "number of a geofence"),
        ("inside(1.5)", 8, "number of a geofence"),
        ("distance_to(91, 0) > 5", 13, "latitude"),
        ("driver < 'x'", 8, "== and !="),
        ("driver == 'x' + 1", 11, "a number is expected"),
        ("5 == 'x'", 3, "text compares to a channel"),
        ("(speed > 5) > 3", 13, "true or false"),
        ("channel(x) > 3", 9, "in quotes"),
        ("not 5", 5, "no condition"),
        ("5m > speed", 1, "a duration stands"),
    ] {
        if column == 0 {
            read(text);
            continue;
        }
        let (at, message) = refused(text);
        assert!(at == column && message.contains(words), "{text:?}: {at} {message}");
    }
}

#[test]
fn length_depth_parts_and_windows_are_bounded() {
    let long = format!("speed > 1{}", " ".repeat(MAX_CONDITION_CHARS));
    assert!(refused(&long).1.contains("2000 characters"));
    let deep = format!("{}speed > 1{}", "(".repeat(40), ")".repeat(40));
    assert!(refused(&deep).1.contains("32 deep"));
    let negated = format!("{} ignition", "not ".repeat(40));
    assert!(refused(&negated).1.contains("32 deep"));
    let wide = vec!["a>1"; 100].join(" or ");
    assert!(refused(&wide).1.contains("256 parts"));
    let windows: Vec<String> = (1..=5).map(|minutes| format!("avg(a, {minutes}m) > 1")).collect();
    assert!(refused(&windows.join(" or ")).1.contains("4 different windows"));
}

fn any_name() -> impl Strategy<Value = Name> {
    prop_oneof![
        (1_u8..=13).prop_map(|number| Name::Field(Field::from_number(number).unwrap())),
        "[a-z][a-z0-9_.]{0,8}".prop_map(|name| Name::Channel(name.into())),
        "[ -~é]{1,9}".prop_map(|name| Name::Channel(name.into())),
    ]
}

fn any_number() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        (-1e9_f64..1e9).prop_map(Expression::Number),
        any_name().prop_map(Expression::Newest),
        any_name().prop_map(Expression::Rate),
        (any_name(), 10_u64..86_400).prop_map(|(name, s)| Expression::Mean(name, s * 1000)),
        (-90_i32..=90, -180_i32..=180)
            .prop_map(|(lat, lon)| Expression::DistanceTo(lat.into(), lon.into())),
        prop::option::of(any_name()).prop_map(Expression::Age),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let by = prop_oneof![
            Just(Arithmetic::Add),
            Just(Arithmetic::Subtract),
            Just(Arithmetic::Multiply),
            Just(Arithmetic::Divide)
        ];
        (by, inner.clone(), inner)
            .prop_map(|(by, one, other)| Expression::Compute(by, Box::new(one), Box::new(other)))
    })
}

fn any_condition() -> impl Strategy<Value = Expression> {
    let by = prop_oneof![
        Just(Comparison::Less),
        Just(Comparison::AtMost),
        Just(Comparison::Greater),
        Just(Comparison::AtLeast),
        Just(Comparison::Equal),
        Just(Comparison::Unequal)
    ];
    let leaf = prop_oneof![
        (by, any_number(), any_number()).prop_map(|(by, one, other)| Expression::Compare(
            by,
            Box::new(one),
            Box::new(other)
        )),
        (any_name(), "[ -~é]{0,9}").prop_map(|(name, text)| Expression::Compare(
            Comparison::Equal,
            Box::new(Expression::Newest(name)),
            Box::new(Expression::Text(text.into())),
        )),
        (1_u64..1000).prop_map(Expression::Inside),
        any::<bool>().prop_map(Expression::Flag),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| Expression::Not(Box::new(one))),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| Expression::And(Box::new(one), Box::new(other))),
            (inner.clone(), inner)
                .prop_map(|(one, other)| Expression::Or(Box::new(one), Box::new(other))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(expression in any_condition()) {
        let text = expression.to_string();
        match parse(&text) {
            Ok(parsed) => prop_assert_eq!(parsed.expression, expression),
            // Bounds, and nothing else.
            Err(error) => prop_assert!(error.message.contains("at most"), "{}: {}", text, error),
        }
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9 ()<>=!&|.,+*/'\"-]{0,80}") {
        if let Err(error) = parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column));
        }
    }
}
