//! Paths as Go's router understands them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The path that a request is routed by: each segment without its escapes. `None` if an escape is broken.
///
/// An escaped slash does not separate segments, so no route has a segment with one. The prefix `/v1/` must be written without
/// escapes: if it has some, no route below it is found.
pub(in crate::broker) fn resolve(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let sound = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !path.split('%').skip(1).all(sound) {
        return None;
    }
    let segments = path.split('/').map(|segment| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        if decoded.contains('/') { Cow::Borrowed(segment) } else { decoded }
    });
    let resolved = segments.collect::<Vec<_>>().join("/");
    if resolved.starts_with("/v1/") && !path.starts_with("/v1/") {
        return Some(Cow::Borrowed("/v1/"));
    }
    Some(Cow::Owned(resolved))
}

/// The path to which Go's router redirects another spelling of it, such as `/v1//topics` or `/v1`.
pub(in crate::broker) fn canonical(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    let mut canonical = format!("/{}", kept.join("/"));
    if resolve(&canonical).is_some_and(|path| path == "/v1") {
        "/v1/".clone_into(&mut canonical);
    } else if path.ends_with('/') && canonical != "/" {
        canonical.push('/');
    }
    (canonical != path).then_some(canonical)
}

#[cfg(test)]
mod tests {
    use super::{canonical, resolve};

    #[test]
    fn a_segment_is_resolved_and_an_escaped_slash_separates_nothing() {
        for (path, resolved) in [
            ("/v1/%74opics", Some("/v1/topics")),
            ("/v1%2ftopics", Some("/v1%2ftopics")),
            ("/v1/a%2fb", Some("/v1/a%2fb")),
            ("/%76%31/topics", Some("/v1/")),
            ("/v1/%7", None),
            ("/v1/%g1", None),
        ] {
            assert_eq!(resolve(path).as_deref(), resolved, "{path}");
        }
    }

    #[test]
    fn a_path_is_cleaned_without_resolving_it() {
        for (path, moved_to) in [
            ("/v1/", None),
            ("/v1", Some("/v1/")),
            ("/%76%31", Some("/v1/")),
            ("/v1//a/../topics", Some("/v1/topics")),
            ("/v1/%2e%2e/topics", None),
        ] {
            assert_eq!(canonical(path).as_deref(), moved_to, "{path}");
        }
    }
}
