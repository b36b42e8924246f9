//! What travels where the log is physical: the pages of one commit, and the form that they have.
//!
//! A commit holds several entries, since requests share it; so a follower is always at the end of one, never inside.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::frames::checksum;

/// A piece of a file. In JSON it is base64 (RFC 4648, section 4): numbers in a list would take three times the room.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(Arc<[u8]>);

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes(bytes.into())
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len().div_ceil(3) * 4);
        for three in self.0.chunks(3) {
            let [a, b, c] = [0, 1, 2].map(|at| u32::from(three.get(at).copied().unwrap_or(0)));
            let bits = a << 16 | b << 8 | c;
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
                text.push(if at <= three.len() { letter as char } else { '=' });
            }
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        decoded(text.as_bytes()).map(|bytes| Bytes(bytes.into())).ok_or_else(|| D::Error::custom("this is not base64"))
    }
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let filling = text.iter().rev().take_while(|letter| **letter == b'=').count();
    if filling > 2 {
        return None;
    }
    for four in text.chunks(4) {
        let mut bits = 0;
        for letter in four {
            bits = bits << 6 | value(*letter)?;
        }
        bytes.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
    }
    bytes.truncate(bytes.len() - filling);
    Some(bytes)
}

fn value(letter: u8) -> Option<u32> {
    Some(
        match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => 0,
            _ => return None,
        }
        .into(),
    )
}

/// The form of a database file. Pages fit only a file of the same form: that is why a physical log bears no rolling upgrade (DDIA, chapter 5,
/// "Write-ahead log (WAL) shipping").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// Bytes in a page.
    pub page_size: u32,
    /// How tables are laid out in the pages.
    pub version: u32,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pages of {} bytes in format {}", self.page_size, self.version)
    }
}

/// The pages of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The first entry in it.
    pub first: u64,
    /// The last entry in it; the database is at this position once the pages are written.
    pub last: u64,
    /// The last entry's term.
    pub term: u64,
    /// The leader's wall clock when it wrote the latest entry, nanoseconds since the epoch.
    pub wall: i64,
    /// How many pages the database has afterwards.
    pub size: u32,
    /// The pages, each with its number, from 1.
    pub pages: Vec<(u32, Bytes)>,
    /// The checksum of all that, as a damaged page would stay in every copy.
    sum: [u32; 2],
}

impl Segment {
    /// The pages of the entries `first` to `last`.
    pub fn new((first, last): (u64, u64), term: u64, wall: i64, size: u32, pages: Vec<(u32, Bytes)>) -> Segment {
        let mut segment = Segment { first, last, term, wall, size, pages, sum: [0; 2] };
        segment.sum = segment.checksum();
        segment
    }

    fn checksum(&self) -> [u32; 2] {
        let numbers = [self.first, self.last, self.term, self.wall as u64, u64::from(self.size)];
        let sum = numbers.iter().fold([0; 2], |sum, number| checksum(sum, &number.to_le_bytes(), false));
        self.pages.iter().fold(sum, |sum, (number, page)| {
            checksum(checksum(sum, &u64::from(*number).to_le_bytes(), false), page, false)
        })
    }

    /// Whether it arrived as it was sent, and its pages can be written into a file whose pages are so long.
    pub fn fits(&self, page_size: u32) -> bool {
        let page =
            |(number, page): &(u32, Bytes)| *number > 0 && *number <= self.size && page.len() == page_size as usize;
        self.first > 0 && self.first <= self.last && self.pages.iter().all(page) && self.sum == self.checksum()
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        self.pages.iter().map(|(_, page)| page.len() + 16).sum::<usize>() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_segment_does_not_fit() {
        let segment = Segment::new((5, 7), 2, 3, 9, vec![(4, [7; 512].as_slice().into())]);
        assert!(segment.fits(512) && !segment.fits(1_024));
        let text = serde_json::to_string(&segment).expect("text");
        for (from, to) in [("\"last\":7", "\"last\":8"), ("[4,", "[5,"), ("BwcH", "BwcI"), ("\"size\":9", "\"size\":8")]
        {
            let changed: Segment = serde_json::from_str(&text.replacen(from, to, 1)).expect("a segment");
            assert!(changed != segment && !changed.fits(512), "{from}");
        }
    }

    #[test]
    fn bytes_travel_as_base64() {
        let text = |bytes: &[u8]| serde_json::to_string(&Bytes::from(bytes)).expect("text");
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(text(bytes.as_bytes()), format!("\"{expected}\""));
        }
        for length in 0..300_usize {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
            let back: Bytes = serde_json::from_str(&text(&bytes)).expect("the same bytes");
            assert_eq!(&*back, bytes.as_slice());
        }
        for wrong in ["\"a\"", "\"====\"", "\"a-bc\"", "7"] {
            assert!(serde_json::from_str::<Bytes>(wrong).is_err(), "{wrong}");
        }
    }
}
