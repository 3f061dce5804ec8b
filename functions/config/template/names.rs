//! The filters and tests that a template uses. The engine resolves them only when it renders, at a webhook, which is too late to report a
//! misspelt name.

use std::iter;

/// The name of a filter or test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// `upper` in `event.id | upper`.
    Filter(&'a str),
    /// `defined` in `event.id is defined`.
    Test(&'a str),
}

/// A token of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(char),
    Literal,
}

/// All filters and tests that a template uses.
pub(super) fn named(source: &str) -> Vec<Named<'_>> {
    let mut names = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        let opened = &rest[at + 1..];
        rest = match opened.chars().next() {
            Some('#') => opened.split_once("#}").map_or("", |(_, rest)| rest),
            Some(kind @ ('{' | '%')) => {
                let end = if kind == '{' { "}}" } else { "%}" };
                let (tokens, rest) = read(&opened[1..], end);
                names.extend(names_in(&tokens));
                let raw = tokens
                    .iter()
                    .find_map(|token| if let Token::Word(word) = token { Some(*word) } else { None });
                match raw {
                    Some("raw") if kind == '%' => rest.split_once("endraw").map_or("", |(_, rest)| rest),
                    _ => rest,
                }
            }
            _ => opened,
        };
    }
    names
}

fn names_in<'a>(tokens: &[Token<'a>]) -> Vec<Named<'a>> {
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => Some(*word),
        _ => None,
    };
    let at = |index: usize| {
        let before = index.checked_sub(1).map(|before| tokens[before]);
        match tokens[index] {
            Token::Sign('|') => word(index + 1).map(Named::Filter),
            // `{% filter upper %}`
            Token::Word("filter") if before.is_none_or(|before| matches!(before, Token::Sign('-' | '+'))) => {
                word(index + 1).map(Named::Filter)
            }
            Token::Word("is") if before != Some(Token::Sign('.')) => {
                let negated = word(index + 1) == Some("not");
                word(index + 1 + usize::from(negated)).map(Named::Test)
            }
            _ => None,
        }
    };
    (0..tokens.len()).filter_map(at).collect()
}

/// The tokens up to `end`, and the rest of the text.
fn read<'a>(code: &'a str, end: &str) -> (Vec<Token<'a>>, &'a str) {
    let (mut rest, mut depth) = (code, 0_usize);
    let tokens = iter::from_fn(|| {
        rest = rest.trim_start();
        if rest.is_empty() || (depth == 0 && rest.starts_with(end)) {
            return None;
        }
        let (token, length) = first(rest);
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        rest = &rest[length..];
        Some(token)
    });
    let tokens = tokens.collect();
    (tokens, rest.strip_prefix(end).unwrap_or(rest))
}

/// The first token and its length.
fn first(code: &str) -> (Token<'_>, usize) {
    let Some(sign) = code.chars().next() else { return (Token::Literal, 0) };
    if sign == '"' || sign == '\'' {
        return (Token::Literal, literal(code, sign));
    }
    let is_in_word = |c: char| c.is_alphanumeric() || c == '_';
    match code.find(|c| !is_in_word(c)).unwrap_or(code.len()) {
        0 => (Token::Sign(sign), sign.len_utf8()),
        length => (Token::Word(&code[..length]), length),
    }
}

/// The length of a quoted string.
fn literal(code: &str, quote: char) -> usize {
    let mut escaped = true; // the quote that opens it
    let end = code.char_indices().find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(code.len(), |(at, _)| at + quote.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::{
        Named::{Filter, Test},
        *,
    };

    #[test]
    fn names_are_found_wherever_an_expression_stands_and_nowhere_else() {
        for (template, expected) in [
            ("a | b and is c", &[][..]),
            ("{{ event.id | upper | default('a | b is c', true) }}", &[Filter("upper"), Filter("default")]),
            ("{{ event.is | lower }}", &[Filter("lower")]),
            (
                "{% if (a is not defined or b is none) %}{{-c|trim-}}{% endif %}",
                &[Test("defined"), Test("none"), Filter("trim")],
            ),
            ("{# a | b #}{{ {'a': {'b': 1}} | tojson }}", &[Filter("tojson")]),
            ("{% raw %}{{ a | b }}{% endraw %}{{ a | c }}", &[Filter("c")]),
            ("{%- filter upper %}x{% endfilter %}", &[Filter("upper")]),
            ("{{ 'it\\'s | b' ~ \"{{ c | d\" }}{{ e|f }}", &[Filter("f")]),
            ("{{ unclosed | a", &[Filter("a")]),
            ("{", &[]),
        ] {
            assert_eq!(named(template), expected, "{template}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s)[{}%#|a-c'\"\\\\ é]{0,40}") {
            named(&text);
        }
    }
}
