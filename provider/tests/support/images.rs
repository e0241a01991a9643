//! Images and their indexes as ECR has them, and the calls of ECR that read and delete them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use soci_format::{
    convert::convert,
    digest::Digest,
    image::{self, Entry, Role},
    index::{IndexOptions, V2, Version, ZTOC, soci_index, ztoc_descriptor},
    oci::{Descriptor, Manifest, StoredManifest, media_type},
};
use soci_testing::image::Layer;

use super::{State, functions::HOST};

/// A manifest.
#[derive(Clone)]
pub struct Image {
    pub descriptor: Descriptor,
    pub text: String,
    /// What it names and ECR must have.
    children: Vec<Image>,
    blobs: Vec<Vec<u8>>,
}

const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux"}"#;
/// The only repository that has images.
pub const REPOSITORY: &str = "team/app";
const SPAN: u64 = 4 << 20;

/// The layer of `single()`.
pub fn layer() -> Descriptor {
    Descriptor::new(
        "application/vnd.oci.image.layer.v1.tar+gzip",
        Digest::of(b"layer"),
        20 << 20,
    )
}

/// An image of one large layer.
pub fn single() -> Image {
    let text = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::of(media_type::OCI_CONFIG, CONFIG), "layers": [layer()],
    })
    .to_string();
    Image::new(
        media_type::OCI_MANIFEST,
        text.into_bytes(),
        vec![CONFIG.to_vec()],
    )
}

/// An image of real layers, one for each number.
pub fn real(layers: &[u8]) -> Image {
    let layers: Vec<Layer> = layers.iter().map(|number| real_layer(*number)).collect();
    let descriptors = layers
        .iter()
        .map(|layer| Descriptor::of(layer.media_type, &layer.bytes));
    let text = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::of(media_type::OCI_CONFIG, CONFIG), "layers": descriptors.collect::<Vec<_>>(),
    });
    let blobs = layers.iter().map(|layer| layer.bytes.to_vec());
    Image::new(
        media_type::OCI_MANIFEST,
        text.to_string().into_bytes(),
        blobs.chain([CONFIG.to_vec()]).collect(),
    )
}

/// One of its layers.
pub fn real_layer(number: u8) -> Layer {
    Layer::noise(number.into(), 3_000)
}

/// An image of several platforms: an image index, and an image of real layers for each.
pub fn multi_platform() -> Image {
    let children =
        [("amd64", 1), ("arm64", 2)].map(|(architecture, number)| (architecture, real(&[number])));
    let manifests = children.iter().map(|(architecture, child)| {
        let mut descriptor = json!(child.descriptor);
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        descriptor
    });
    let text = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests.collect::<Vec<_>>(),
    });
    Image {
        children: children.map(|(_, child)| child).to_vec(),
        ..Image::new(
            media_type::OCI_INDEX,
            text.to_string().into_bytes(),
            Vec::new(),
        )
    }
}

/// An artifact with a config of this type, which is no image.
pub fn artifact(config: &str) -> Image {
    let text = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::of(config, b"{}"), "layers": [Descriptor::of("application/octet-stream", b"x")],
    });
    let blobs = vec![b"{}".to_vec(), b"x".to_vec()];
    Image::new(
        media_type::OCI_MANIFEST,
        text.to_string().into_bytes(),
        blobs,
    )
}

/// The image index that the builder makes of `single()`.
pub fn indexed() -> Image {
    let single = single();
    let Ok(Manifest::Image(manifest)) =
        Manifest::parse(media_type::OCI_MANIFEST, single.text.as_bytes())
    else {
        panic!()
    };
    let ztoc = ztoc_descriptor(&layer(), &Descriptor::of(ZTOC, b"ztoc"), SPAN, false);
    let (soci, text) = soci_index(
        Version::V2,
        vec![ztoc],
        &single.descriptor,
        &IndexOptions::default(),
    );
    assert_eq!(soci.artifact_type.as_deref().unwrap_or(V2), V2);
    let soci_image = Image::new(
        media_type::OCI_MANIFEST,
        text,
        vec![b"{}".to_vec(), b"ztoc".to_vec()],
    );
    let platform = "linux/amd64".parse().unwrap();
    let mut descriptor = single.descriptor.clone();
    descriptor.platform = Some(platform);
    let root =
        StoredManifest::parse(single.descriptor.clone(), single.text.clone().into()).unwrap();
    let image = image::Image {
        root,
        index: None,
        entries: vec![Entry {
            role: Role::Platform {
                platform: descriptor.platform.clone().unwrap(),
                manifest,
            },
            descriptor,
        }],
    };
    let made = convert(&image, &[(0, soci)].into()).unwrap();
    let children = made
        .manifests
        .into_iter()
        .map(|(_, _, bytes)| Image::new(media_type::OCI_MANIFEST, bytes, Vec::new()));
    Image {
        children: children.chain([soci_image]).collect(),
        ..Image::new(media_type::OCI_INDEX, made.bytes, Vec::new())
    }
}

impl Image {
    pub fn new(media_type: &str, bytes: Vec<u8>, blobs: Vec<Vec<u8>>) -> Self {
        Self {
            descriptor: Descriptor::of(media_type, &bytes),
            text: String::from_utf8(bytes).unwrap(),
            children: Vec::new(),
            blobs,
        }
    }

    pub fn digest(&self) -> String {
        self.descriptor.digest.to_string()
    }

    pub fn add_to(&self, state: &mut State, tag: &str) {
        state.images.insert(tag.to_owned(), self.clone());
        self.add(state);
    }

    fn add(&self, state: &mut State) {
        state.images.insert(self.digest(), self.clone());
        let named = |blob: &Vec<u8>| (Digest::of(blob).to_string(), blob.clone());
        state.blobs.extend(self.blobs.iter().map(named));
        for child in &self.children {
            child.add(state);
        }
    }
}

impl State {
    pub(super) fn ecr(&mut self, operation: &str, asked: &Value) -> (u16, Bytes) {
        let refusal = |code| (400, json!({"__type": code}).to_string().into());
        if operation == "GetAuthorizationToken" {
            let endpoint = format!("https://{HOST}");
            let token = json!({"authorizationToken": "QVdTOnB3", "expiresAt": 4e9, "proxyEndpoint": endpoint});
            return (
                200,
                json!({"authorizationData": [token]}).to_string().into(),
            );
        }
        assert_eq!(asked["registryId"], "123456789012");
        if operation == "DescribeRepositories" {
            let names: Vec<Value> = self
                .repositories
                .iter()
                .map(|name| json!({"repositoryName": name}))
                .collect();
            return (200, page("repositories", &names, asked).to_string().into());
        }
        if operation == "DescribeImages" && asked["repositoryName"] != REPOSITORY {
            return refusal("RepositoryNotFoundException");
        }
        assert_eq!(asked["repositoryName"], REPOSITORY);
        let answer = match operation {
            "BatchGetImage" => {
                let (mut images, mut failures) = (Vec::new(), Vec::new());
                for id in asked["imageIds"].as_array().unwrap() {
                    self.asked.push(name_of(id).to_owned());
                    let failure = |code| json!({"imageId": id, "failureCode": code, "failureReason": "so it is"});
                    if self.archived.contains(name_of(id)) {
                        failures.push(failure("ImageInaccessible"));
                    } else if let Some(image) = self.images.get(name_of(id)) {
                        images.push(json!({
                            "imageId": {"imageDigest": image.digest(), "imageTag": id["imageTag"]},
                            "imageManifest": image.text, "imageManifestMediaType": image.descriptor.media_type,
                        }));
                    } else {
                        failures.push(failure("ImageNotFound"));
                    }
                }
                json!({"images": images, "failures": failures})
            }
            "GetDownloadUrlForLayer" => {
                json!({"downloadUrl": format!("http://{}/blob/{}", self.address.unwrap(), asked["layerDigest"].as_str().unwrap())})
            }
            "BatchCheckLayerAvailability" => {
                let digest = asked["layerDigests"][0].as_str().unwrap();
                let layers = if self.archived.contains(digest) {
                    json!([{"layerDigest": digest, "layerAvailability": "ARCHIVED", "layerSize": 1}])
                } else if digest == layer().digest.to_string() {
                    json!([{"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": layer().size}])
                } else if let Some(blob) = self.blobs.get(digest) {
                    json!([{"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": blob.len()}])
                } else {
                    json!([])
                };
                json!({"layers": layers})
            }
            "ListImageReferrers" => {
                let subject = asked["subjectId"]["imageDigest"].as_str().unwrap();
                let referrers = self.referrers.get(subject).map(
                    |of| json!({"digest": of.digest, "mediaType": of.media_type, "size": of.size}),
                );
                json!({"referrers": Vec::from_iter(referrers)})
            }
            "DescribeImages" if asked["imageIds"].is_null() => {
                let tagged = self.images.iter().filter(|(name, _)| !name.contains(':'));
                let tagged: BTreeMap<String, &Image> =
                    tagged.map(|(_, image)| (image.digest(), image)).collect();
                let details: Vec<Value> = tagged.values().map(|image| self.detail(image)).collect();
                page("imageDetails", &details, asked)
            }
            "DescribeImages" => match self.images.get(name_of(&asked["imageIds"][0])) {
                Some(image) => json!({"imageDetails": [self.detail(image)]}),
                None => return refusal("ImageNotFoundException"),
            },
            "BatchDeleteImage" => {
                let ids = asked["imageIds"].as_array().unwrap();
                let failures: Vec<_> = ids.iter().filter_map(|id| self.delete(id)).collect();
                json!({"failures": failures})
            }
            other => panic!("{other} is not expected"),
        };
        (200, answer.to_string().into())
    }

    /// Deletes an image or takes a tag away; gives why not.
    fn delete(&mut self, id: &Value) -> Option<Value> {
        let tag = id["imageTag"].as_str();
        let name = tag.or(id["imageDigest"].as_str()).unwrap();
        let code = match self.images.get(name) {
            None => Some("ImageNotFound"),
            Some(image) => id["imageDigest"]
                .as_str()
                .filter(|digest| *digest != image.digest())
                .map(|_| "ImageTagDoesNotMatchDigest"),
        };
        if let Some(code) = code {
            return Some(json!({"imageId": id, "failureCode": code}));
        }
        let image = self.images.remove(name).unwrap();
        // The last tag takes the image with it.
        if self.tags_of(&image.digest()).is_empty() {
            self.images.remove(&image.digest());
        }
        None
    }

    fn detail(&self, image: &Image) -> Value {
        let digest = image.digest();
        let manifest: Value = serde_json::from_str(&image.text).unwrap();
        let pushed_at = self.pushed_at.get(&digest).copied().unwrap_or(1.7e9);
        json!({
            "registryId": "123456789012", "repositoryName": REPOSITORY, "imageDigest": digest,
            "imageTags": self.tags_of(&digest), "imagePushedAt": pushed_at,
            "imageManifestMediaType": image.descriptor.media_type, "artifactMediaType": manifest["config"]["mediaType"],
            "subjectManifestDigest": manifest["subject"]["digest"],
            "imageStatus": if self.archived.contains(&digest) { "ARCHIVED" } else { "ACTIVE" },
        })
    }

    fn tags_of(&self, digest: &str) -> Vec<String> {
        let tags = self
            .images
            .iter()
            .filter(|(name, image)| !name.contains(':') && image.digest() == digest);
        tags.map(|(name, _)| name.clone()).collect()
    }
}

/// A page of a list: three entries, however many are asked for.
fn page(name: &str, all: &[Value], asked: &Value) -> Value {
    const SIZE: usize = 3;
    let start: usize = asked["nextToken"]
        .as_str()
        .map_or(0, |token| token.parse().unwrap());
    let end = all.len().min(start + SIZE);
    let next = (end < all.len()).then(|| end.to_string());
    json!({name: all[start..end], "nextToken": next})
}

fn name_of(id: &Value) -> &str {
    id["imageDigest"]
        .as_str()
        .or(id["imageTag"].as_str())
        .unwrap()
}
