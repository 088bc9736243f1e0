//! Which characters a line of text may hold: those that people see. Control characters
//! break lines and logs; characters that turn the direction of writing, or take no
//! width, let one name look like another (Unicode Technical Report 36).

/// Whether every character of the text is one that people see, on one line.
pub(super) fn is_visible_line(text: &str) -> bool {
    !text.contains(is_hidden)
}

/// Controls, separators of lines, and the characters of Unicode's category Cf (format)
/// with others that show nothing. U+FE0F, which makes emoji of signs, is left.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_see_is_a_line_and_what_they_do_not_is_none() {
        for good in ["Ana Maria", "Lörry 7 ✓", "北京 3", "מונית", "❤\u{fe0f}", "e\u{301}", ""]
        {
            assert!(is_visible_line(good), "{good:?}");
        }
        for bad in [
            "a\nb",
            "a\u{7}",
            "a\u{2028}b",
            // Turns what follows: "nimda" reads "admin".
            "\u{202e}nimda",
            "a\u{2066}b\u{2069}",
            "a\u{200e}",
            "a\u{61c}",
            // Another "admin".
            "ad\u{200b}min",
            "ad\u{200d}min",
            "admin\u{feff}",
            "ad\u{ad}min",
            "a\u{2060}b",
            "\u{3164}",
            // An empty cell of Braille.
            "\u{2800}",
            "a\u{e0041}",
        ] {
            assert!(!is_visible_line(bad), "{bad:?}");
        }
    }
}
