//! Units of columns, converted to those of a position.

/// How many metres are in it.
pub(crate) fn metres(unit: &str) -> Option<f64> {
    Some(match unit {
        "m" => 1.0,
        "km" => 1000.0,
        "ft" => 0.3048,
        "mi" => 1609.344,
        _ => return None,
    })
}

/// How many kilometres an hour are in it.
pub(crate) fn kilometres_an_hour(unit: &str) -> Option<f64> {
    Some(match unit {
        "km/h" => 1.0,
        "m/s" => 3.6,
        "kn" => 1.852,
        "mph" => 1.609_344,
        _ => return None,
    })
}

/// How many minutes are in it.
pub(crate) fn minutes(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 60.0,
        "min" => 1.0,
        "s" => 1.0 / 60.0,
        "ms" => 1.0 / 60_000.0,
        _ => return None,
    })
}
