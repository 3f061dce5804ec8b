//! Newline-delimited JSON: splits byte chunks into lines. Works on bytes, since a chunk may end inside a character.
//!
//! tokio-util's `LinesCodec` does not fit: after a line over the limit it goes on with the next line, but a stream must end there. It also
//! makes a `String` of each line.

use bytes::{Bytes, BytesMut};

/// A line over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Collects chunks and gives out lines.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// There is no newline before this place in the buffer, so each byte is looked at once.
    searched: usize,
    limit: usize,
}

impl Lines {
    /// Lines of up to `limit` bytes, without their ends.
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, limit }
    }

    /// Adds a chunk.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next complete line that is not blank, without its `\n` or `\r\n`; `None` until more has arrived.
    ///
    /// A line over the limit is an error as soon as that is known, and every later call fails too: the next bytes may be
    /// the rest of that line.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let newline = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(length) = newline.map(|at| self.searched + at) else {
                self.searched = self.buffer.len();
                // A `\r` may still turn out to belong to the line's end.
                let length = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer).len();
                return if length > self.limit { Err(TooLong) } else { Ok(None) };
            };
            let line = &self.buffer[..length];
            if line.strip_suffix(b"\r").unwrap_or(line).len() > self.limit {
                return Err(TooLong);
            }
            let mut line = self.buffer.split_to(length + 1).freeze();
            self.searched = 0;
            line.truncate(line.strip_suffix(b"\r\n").map_or(length, <[u8]>::len));
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// Whether bytes of an unfinished line are waiting.
    pub(super) fn is_mid_line(&self) -> bool {
        !self.buffer.trim_ascii().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn read(chunks: &[&[u8]], limit: usize) -> Result<Vec<String>, TooLong> {
        let mut lines = Lines::new(limit);
        let mut read = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next()? {
                read.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        Ok(read)
    }

    #[test]
    fn a_line_may_be_cut_anywhere_even_inside_a_character() {
        let euro = "{\"v\":\"€\"}\r\n".as_bytes();
        assert_eq!(
            read(&[&euro[..7], &euro[7..8], &euro[8..11], &euro[11..]], 64).unwrap(),
            ["{\"v\":\"€\"}"]
        );
    }

    #[test]
    fn blank_lines_are_passed_over_and_an_unfinished_one_is_kept_back() {
        assert_eq!(read(&[b"\n\r\n  \na\n", b"\nb\r\n", b"c"], 64).unwrap(), ["a", "b"]);
        let mut lines = Lines::new(64);
        lines.push(b"a\nb");
        assert_eq!(lines.next().unwrap().unwrap(), "a");
        assert_eq!(lines.next(), Ok(None));
        assert!(lines.is_mid_line());
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_byte_more_does_not() {
        assert_eq!(read(&[b"1234\n", b"1234\r", b"\n"], 4).unwrap(), ["1234", "1234"]);
        assert_eq!(read(&[b"12345\n"], 4), Err(TooLong));
        assert_eq!(read(&[b"123", b"45"], 4), Err(TooLong), "known before the line ends");
        let mut lines = Lines::new(4);
        lines.push(b"12345\n1\n");
        assert_eq!([lines.next(), lines.next()], [Err(TooLong), Err(TooLong)], "and it stays so");
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_lines_are_the_same(
            text in vec("[^\r\n]{0,12}", 0..12),
            crlf: bool,
            cuts in vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let bytes: Vec<u8> = text.iter().flat_map(|line| [line.as_str(), end]).collect::<String>().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let mut expected = text;
            expected.retain(|line| !line.as_bytes().trim_ascii().is_empty());
            prop_assert_eq!(read(&chunks, 64), Ok(expected));
        }

        #[test]
        fn no_bytes_make_it_panic_or_hold_more_than_limit_and_chunk(chunks in vec(vec(any::<u8>(), 0..40), 0..20)) {
            let mut lines = Lines::new(16);
            'stream: for chunk in chunks {
                lines.push(&chunk);
                loop {
                    match lines.next() {
                        Ok(Some(line)) => prop_assert!(line.len() <= 16 && !line.contains(&b'\n')),
                        Ok(None) => break,
                        Err(TooLong) => break 'stream,
                    }
                }
                prop_assert!(lines.buffer.len() <= 17);
            }
        }
    }
}
