//! Archives from the `tar` crate, which tells by itself what it reads in them.

use proptest::prelude::*;
use soci_format::tar::TarReader;

/// Name, link, size, where the payload starts, PAX records.
type Seen = (Vec<u8>, Vec<u8>, u64, u64, Vec<(Vec<u8>, Vec<u8>)>);

fn ours(stream: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut reader = TarReader::new();
    reader
        .push(stream, &mut |entry| {
            let records = entry.pax.iter();
            seen.push((
                entry.name.to_vec(),
                entry.link_name.to_vec(),
                u64::try_from(entry.size).expect("no negative size was written"),
                entry.payload_at,
                records.map(|(k, v)| (k.to_vec(), v.to_vec())).collect(),
            ));
        })
        .expect("valid");
    reader.finish().expect("valid");
    seen
}

fn theirs(stream: &[u8]) -> Vec<Seen> {
    let mut archive = tar::Archive::new(stream);
    let entries = archive.entries().expect("valid");
    entries
        .map(|entry| {
            let mut entry = entry.expect("valid");
            let mut records: Vec<_> = match entry.pax_extensions().expect("valid") {
                None => Vec::new(),
                Some(records) => records
                    .map(|record| record.expect("valid"))
                    .map(|record| (record.key_bytes().to_vec(), record.value_bytes().to_vec()))
                    .collect(),
            };
            records.sort();
            let link = entry.link_name_bytes().map(|link| link.into_owned());
            (
                entry.path_bytes().into_owned(),
                link.unwrap_or_default(),
                entry.size(),
                entry.raw_file_position(),
                records,
            )
        })
        .collect()
}

#[derive(Clone, Debug)]
enum Member {
    File {
        name: String,
        bytes: usize,
    },
    Link {
        name: String,
        target: String,
        hard: bool,
    },
    Directory {
        name: String,
    },
}

fn name() -> impl Strategy<Value = String> {
    // Around 100 and 256 bytes the layouts change how a name is kept.
    "[a-zé]{1,10}(/[a-z]{1,60}){0,6}"
}

fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        (name(), 0_usize..2000).prop_map(|(name, bytes)| Member::File { name, bytes }),
        (name(), name(), any::<bool>()).prop_map(|(name, target, hard)| Member::Link {
            name,
            target,
            hard
        }),
        name().prop_map(|name| Member::Directory { name }),
    ]
}

/// PAX values without newlines: the crate splits records there, not by their length.
fn records() -> impl Strategy<Value = Vec<(String, String)>> {
    let records = prop::collection::btree_map("[a-z.]{3,20}\\.x", "[ -~]{1,150}", 0..4);
    records.prop_map(|records| records.into_iter().collect())
}

fn written(members: &[(Member, Vec<(String, String)>)], gnu: bool) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (member, records) in members {
        let records = records.iter().map(|(k, v)| (k.as_str(), v.as_bytes()));
        builder.append_pax_extensions(records).expect("written");
        let mut header = match gnu {
            true => tar::Header::new_gnu(),
            false => tar::Header::new_ustar(),
        };
        header.set_mode(0o644);
        header.set_size(0);
        let done = match member {
            Member::File { name, bytes } => {
                header.set_size(*bytes as u64);
                builder.append_data(&mut header, name, &vec![b'x'; *bytes][..])
            }
            Member::Link { name, target, hard } => {
                header.set_entry_type(match hard {
                    true => tar::EntryType::Link,
                    false => tar::EntryType::Symlink,
                });
                builder.append_link(&mut header, name, target)
            }
            Member::Directory { name } => {
                header.set_entry_type(tar::EntryType::Directory);
                builder.append_data(&mut header, format!("{name}/"), &b""[..])
            }
        };
        done.expect("written");
    }
    builder.into_inner().expect("written")
}

proptest! {
    #[test]
    fn both_read_the_same(
        members in prop::collection::vec((member(), records()), 0..12),
        gnu: bool,
    ) {
        let stream = written(&members, gnu);
        let found = ours(&stream);
        prop_assert_eq!(found.len(), members.len());
        prop_assert_eq!(found, theirs(&stream));
    }
}
