//! What topic names and filters may look like (MQTT 5, section 4.7).

/// Whether a client may publish on this name: not empty, no wildcard. Strings
/// without U+0000 are checked before.
pub fn valid_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['+', '#'])
}

/// Whether this is a filter: not empty, wildcards alone in their level, `#` last.
pub fn valid_filter(filter: &str) -> bool {
    if filter.is_empty() {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let good = match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            other => !other.contains(['+', '#']),
        };
        if !good {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_alone_and_the_hash_last() {
        for good in ["a", "/", "#", "+", "a/#", "+/b/+", "/+/#", "ä/ö", "$SYS/x"] {
            assert!(valid_filter(good), "{good}");
        }
        for bad in ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "##"] {
            assert!(!valid_filter(bad), "{bad}");
        }
        assert!(valid_name("/messenger"));
        assert!(valid_name("ünï/code"));
        for bad in ["", "a/+", "#", "x+y"] {
            assert!(!valid_name(bad), "{bad}");
        }
    }
}
