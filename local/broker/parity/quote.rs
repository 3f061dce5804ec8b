//! Quoted texts, as Go's `strconv.Quote` writes them into messages.

/// The text in double quotes, with whatever is not printable escaped.
pub(in crate::broker) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\u{7}' => quoted.push_str(r"\a"),
            '\u{8}' => quoted.push_str(r"\b"),
            '\u{b}' => quoted.push_str(r"\v"),
            '\u{c}' => quoted.push_str(r"\f"),
            '\n' => quoted.push_str(r"\n"),
            '\r' => quoted.push_str(r"\r"),
            '\t' => quoted.push_str(r"\t"),
            control if control.is_ascii_control() => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(control)))
            }
            // Characters that Rust shows only by their number are not printable in Go either.
            hidden if hidden.escape_debug().len() > 2 => {
                let number = u32::from(hidden);
                let escaped =
                    if number < 0x10000 { format!("\\u{number:04x}") } else { format!("\\U{number:08x}") };
                quoted.push_str(&escaped);
            }
            plain => quoted.push(plain),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_is_not_printable_is_escaped_as_in_go() {
        assert_eq!(quoted("a\"\\\u{7f}\u{1}\u{c}\n"), r#""a\"\\\x7f\x01\f\n""#);
        assert_eq!(
            quoted("é\u{a0}\u{ad}\u{fffd}\u{1f600}\u{e0001}"),
            "\"é\\u00a0\\u00ad\u{fffd}\u{1f600}\\U000e0001\""
        );
    }
}
