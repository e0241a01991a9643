//! Layouts: the names in any `index.json`, and what is added to it.

use serde_json::Value;
use soci_format::{
    digest::Digest,
    oci::{Descriptor, Platform, to_go_json},
};
use soci_store::layout::{
    image_name::output_name,
    index_json::{entries, with_entries},
    names::{Kind, Names, name_of},
};

/// A name in the first line, and `index.json` below it. Whatever is found was there; what is added keeps the other entries, and
/// is found again.
pub(crate) fn layout(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
    let name = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let index = parts.next().unwrap_or_default();
    let new = Descriptor::of("application/vnd.oci.image.index.v1+json", b"{}");
    let Ok((there, annotations, _)) = entries(index) else {
        assert!(with_entries(index, &[]).is_err());
        return;
    };
    let asked = [None, Some(&*name)];
    let digests = there.iter().map(|entry| entry.digest);
    for digest in digests.chain([new.digest]).map(Some).chain([None]) {
        for name in asked {
            let names = Names {
                entries: &there,
                annotations: &annotations,
                kind: &kind,
            };
            if let Ok(Some(found)) = names.find(name, digest.as_ref()) {
                let is_there = |digest: &Digest| there.iter().any(|entry| entry.digest == *digest);
                match &found.list {
                    None => assert!(is_there(&found.descriptor.digest)),
                    Some(list) => {
                        assert!(list.manifests.iter().all(|entry| is_there(&entry.digest)));
                        assert_eq!(Digest::of(&to_go_json(list)), found.descriptor.digest);
                    }
                }
                let _ = output_name(found.name.as_deref(), None);
                let _ = output_name(found.name.as_deref(), name);
            }
        }
    }
    let added = (!name.is_empty()).then(|| name.clone().into_owned());
    let Ok(Some(written)) = with_entries(index, &[(new.clone(), added.clone())]) else {
        return;
    };
    let Some(before) = manifests(index) else {
        return;
    };
    let kept: Vec<Value> = before
        .into_iter()
        .filter(
            |entry| match serde_json::from_value::<Descriptor>(entry.clone()) {
                Ok(old) => match (name_of(&old), &added) {
                    (Some(old), Some(new)) => old != new,
                    (None, None) => old.digest != new.digest,
                    _ => true,
                },
                Err(_) => true,
            },
        )
        .collect();
    let mut after = manifests(&written).expect("what was written is JSON");
    after.pop();
    assert_eq!(after, kept);
    let (there, annotations, _) = entries(&written).expect("what was written can be read");
    let names = Names {
        entries: &there,
        annotations: &annotations,
        kind: &kind,
    };
    let by_digest = added.is_none().then_some(&new.digest);
    let found = names.find(added.as_deref(), by_digest);
    assert_eq!(
        found.expect("one").expect("found").descriptor.digest,
        new.digest
    );
}

/// What a manifest is, made of its digest.
fn kind(entry: &Descriptor) -> Kind {
    let hex = entry.digest.hex();
    match hex.as_bytes()[0] {
        b'0' => Kind::Other,
        b'1' => Kind::Index,
        b'2' => Kind::Unknown,
        _ => Kind::Image(Platform {
            os: "linux".to_owned(),
            architecture: hex[..2].to_owned(),
            ..Platform::default()
        }),
    }
}

/// The entries as they stand; `None` where a field that nobody reads is no JSON text.
fn manifests(index: &[u8]) -> Option<Vec<Value>> {
    let index: Value = serde_json::from_slice(index).ok()?;
    Some(index["manifests"].as_array().cloned().unwrap_or_default())
}
