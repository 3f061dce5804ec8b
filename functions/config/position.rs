//! Line numbers of fields in the file. They are looked up only for errors.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problems::Problem;

/// The TOML syntax errors of the file, in its order.
pub(super) fn malformed(text: &str) -> Vec<Problem> {
    let (_, errors) = DeTable::parse_recoverable(text);
    let problem = |error: toml::de::Error| Problem {
        line: error.span().map(|span| line(text, span.start)),
        field: "toml".to_owned(),
        message: error.message().to_owned(),
    };
    let mut problems: Vec<_> = errors.into_iter().map(problem).collect();
    problems.sort_by_key(|problem| problem.line);
    problems
}

/// Sets the line number of each problem, and sorts the problems by it. For a missing field, it is the line of its table.
pub(super) fn locate(text: &str, problems: &mut [Problem]) {
    if let Ok(document) = DeTable::parse(text) {
        for problem in problems.iter_mut() {
            let start = find(document.get_ref(), &problem.field);
            problem.line = problem.line.or(start.map(|start| line(text, start)));
        }
    }
    problems.sort_by_key(|problem| problem.line);
}

fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// Where the deepest existing part of `path` begins.
fn find(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let parts = table.iter().filter_map(|(key, value)| {
        let name = key.get_ref();
        let rest = after(path, name).or_else(|| after(path, &format!("{name:?}")))?;
        Some((rest, key, value))
    });
    // A key may contain dots, so a shorter key may match as well.
    let (rest, key, value) = parts.min_by_key(|(rest, ..)| rest.len())?;
    find_within(value, rest).or(Some(key.span().start))
}

fn find_within(value: &Spanned<DeValue<'_>>, rest: &str) -> Option<usize> {
    match value.get_ref() {
        DeValue::Table(table) => find(table, rest.strip_prefix('.')?),
        DeValue::Array(items) => {
            let (item, rest) = element(items, rest)?;
            find_within(item, rest).or(Some(item.span().start))
        }
        _ => None,
    }
}

/// The item that `[2]` or `.open_ticket` (by its id) names. If two have the id, the second is meant.
fn element<'a, 'p>(
    items: &'a [Spanned<DeValue<'_>>],
    path: &'p str,
) -> Option<(&'a Spanned<DeValue<'a>>, &'p str)> {
    if let Some((index, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) {
        return Some((items.get(index.parse::<usize>().ok()?)?, rest));
    }
    let path = path.strip_prefix('.')?;
    let (id, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
    let has_id = |item: &&Spanned<DeValue<'_>>| {
        item.get_ref().get("id").is_some_and(|found| found.get_ref().as_str() == Some(id))
    };
    Some((items.iter().rfind(has_id)?, rest))
}

/// The rest of a path after `name`.
fn after<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    path.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[sources.stripe]
scheme = 'stripe'

[[steps]]
id = 'one'
[steps.call]
url = 'https://a.example.com/'
form = { 'a.b' = '1', a = '2' }

[[steps]]
id = 'two'
call = { json = [
  1,
  { text = '' },
] }

[[steps]]
id = 'two'

[destinations.'a.example.com']
burst = 2
";

    #[test]
    fn a_field_is_found_and_a_missing_one_where_it_should_stand() {
        let document = DeTable::parse(TEXT).unwrap();
        for (field, expected) in [
            ("sources.stripe.scheme", Some(2)),
            ("sources.stripe.secrets", Some(1)),
            ("steps.one.call.url", Some(7)),
            ("steps.one.call.form.a.b", Some(8)),
            ("steps.one.call.method", Some(6)),
            ("steps.one.business_key", Some(4)),
            ("steps[1].call.json[1].text", Some(14)),
            ("steps.two.id", Some(18)),
            ("destinations.\"a.example.com\".burst", Some(21)),
            ("destinations.\"a.example.com\"", Some(20)),
            ("consumer.settle", None),
        ] {
            let found = find(document.get_ref(), field).map(|start| line(TEXT, start));
            assert_eq!(found, expected, "{field}");
        }
    }
}
