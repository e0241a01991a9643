//! PAX records: `<length> <key>=<value>\n`, one after another, the length counting the whole record.
//! In: the payload of an `x` header, in pieces. Out: keys and values, by key. Knows no key's meaning.

use std::ops::Range;

/// The PAX records of one member, in the order of their keys, each key once.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    /// Where key and value stand in `bytes`.
    fields: Vec<(Range<usize>, Range<usize>)>,
}

/// What is wrong in the payload of an `x` header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record {offset} bytes into its payload {what}")]
pub struct Problem {
    /// Where in the payload the record starts.
    pub offset: usize,
    /// The rule that it breaks.
    pub what: &'static str,
}

/// The keys whose values replace text fields of a header. A NUL would end the text there, so none may hold one.
const TEXT_KEYS: [&[u8]; 4] = [b"path", b"linkpath", b"uname", b"gname"];

impl Records {
    /// Every key with its value, in the order of the keys' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|(key, value)| (&self.bytes[key.clone()], &self.bytes[value.clone()]))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of `key`, unless it is empty.
    pub(super) fn value(&self, key: &[u8]) -> Option<&[u8]> {
        let found = self
            .fields
            .binary_search_by(|(other, _)| self.bytes[other.clone()].cmp(key))
            .ok()?;
        let (_, value) = &self.fields[found];
        (!value.is_empty()).then(|| &self.bytes[value.clone()])
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }

    /// Takes a piece of the payload.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Reads the payload, which is complete now. Where a key comes again, its last value counts.
    pub(super) fn parse(&mut self) -> Result<(), Problem> {
        let mut offset = 0;
        while offset < self.bytes.len() {
            let record =
                parse_record(&self.bytes[offset..]).map_err(|what| Problem { offset, what })?;
            let at = |range: Range<usize>| offset + range.start..offset + range.end;
            self.fields.push((at(record.key), at(record.value)));
            offset += record.bytes;
        }
        let key = |field: &(Range<usize>, Range<usize>)| &self.bytes[field.0.clone()];
        self.fields.sort_by(|a, b| key(a).cmp(key(b)));
        self.fields.dedup_by(|later, kept| {
            let same = key(later) == key(kept);
            if same {
                *kept = later.clone();
            }
            same
        });
        Ok(())
    }
}

/// A record at the start of some bytes, as ranges of them.
struct Record {
    key: Range<usize>,
    value: Range<usize>,
    bytes: usize,
}

fn parse_record(input: &[u8]) -> Result<Record, &'static str> {
    let digits = find(b' ', input).ok_or("has no space after its length")?;
    let bytes = str::from_utf8(&input[..digits])
        .ok()
        .and_then(|digits| digits.parse::<i64>().ok())
        .ok_or("has no decimal length")?;
    let bytes = usize::try_from(bytes).map_err(|_| "has a negative length")?;
    let record = input
        .get(..bytes)
        .ok_or("is longer than what is left of the payload")?;
    let content = digits + 1;
    let end = match record.last() {
        _ if bytes <= content => return Err("is shorter than its own length field"),
        Some(b'\n') => bytes - 1,
        _ => return Err("does not end in a newline"),
    };
    let equals = find(b'=', &record[content..end]).ok_or("has no '='")?;
    let (key, value) = (content..content + equals, content + equals + 1..end);
    if key.is_empty() {
        return Err("has an empty key");
    }
    let (key_bytes, value_bytes) = (&record[key.clone()], &record[value.clone()]);
    if find(0, key_bytes).is_some() {
        return Err("has a NUL in its key");
    }
    if TEXT_KEYS.contains(&key_bytes) && find(0, value_bytes).is_some() {
        return Err("has a NUL in a value that must not hold one");
    }
    Ok(Record { key, value, bytes })
}

fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&other| other == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(payload: &[u8]) -> Result<Vec<(String, String)>, Problem> {
        let mut records = Records::default();
        records.take(payload);
        records.parse()?;
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        Ok(records.iter().map(|(k, v)| (text(k), text(v))).collect())
    }

    #[test]
    fn records_come_by_key_and_the_last_value_counts() {
        let found = parsed(b"6 b=1\n6 a=2\n6 b=3\n5 a=\n6 c==\n9 d=1\n2\0\n").expect("valid");
        let found: Vec<_> = found.iter().map(|(k, v)| (&k[..], &v[..])).collect();
        let expected = [("a", ""), ("b", "3"), ("c", "="), ("d", r"1\n2\x00")];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_empty_value_is_kept_but_overrides_nothing() {
        let mut records = Records::default();
        records.take(b"10 path=a\n");
        records.take(b"8 path=\n");
        records.parse().expect("valid");
        assert_eq!(records.len(), 1);
        assert_eq!(records.value(b"path"), None);
    }

    #[test]
    fn lengths_are_read_as_go_reads_them() {
        for good in ["+7 a=1\n", "007 a=\n", "08 a=1\n\n"] {
            assert_eq!(parsed(good.as_bytes()).map(|r| r.len()), Ok(1), "{good:?}");
        }
    }

    #[test]
    fn broken_records_are_refused() {
        for (payload, offset, what) in [
            (&b"6"[..], 0, "has no space"),
            (b"6a=1\n", 0, "has no space"),
            (b" 6 a=1\n", 0, "has no decimal"),
            (b"x a=1\n", 0, "has no decimal"),
            (b"-6 a=1\n", 0, "has a negative"),
            (b"99999999999999999999 a=1\n", 0, "has no decimal"),
            (b"9223372036854775807 a=1\n", 0, "is longer"),
            (b"7 a=1\n", 0, "is longer"),
            (b"5 a=1\n", 0, "does not end"),
            (b"2 a=1\n", 0, "is shorter"),
            (b"0 a=1\n", 0, "is shorter"),
            (b"0000006 a=1\n", 0, "is shorter"),
            (b"6 a-1\n", 0, "has no '='"),
            (b"5 =1\n", 0, "has an empty key"),
            (b"7 a\0=1\n", 0, "has a NUL in its key"),
            (b"11 path=a\0\n", 0, "has a NUL in a value"),
            (b"12 uname=a\0\n", 0, "has a NUL in a value"),
            (b"6 a=1\n\0", 6, "has no space"),
        ] {
            let problem = parsed(payload).expect_err("broken");
            let shown = payload.escape_ascii();
            assert_eq!(problem.offset, offset, "{shown}");
            assert!(problem.what.starts_with(what), "{shown}: {problem}");
        }
    }
}
