//! Values that are filled into a URL, between markers.

use url::form_urlencoded;

/// Markers around each filled-in value, until the path has been checked. Unicode reserves both for internal use, so no sender needs them
/// (<https://www.unicode.org/faq/private_use#nonchar1>).
pub(super) const BEGIN: char = '\u{FDD0}';
pub(super) const END: char = '\u{FDD1}';

/// A value as it is filled into a URL: RFC 3986's unreserved characters are kept, everything else is percent-encoded. None: it contains one
/// of the markers.
pub(super) fn fill_in(value: &str) -> Option<String> {
    if value.contains([BEGIN, END]) {
        return None;
    }
    let escaped: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    Some(format!("{BEGIN}{}{END}", escaped.replace('+', "%20")))
}
