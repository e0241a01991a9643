//! What every run finds: registries with images in them, and what is right for each image.
//! In: nothing. Out: a repository for each run, and the results of runs that nothing disturbs.

use std::{collections::HashMap, thread};

use soci_format::{
    digest::Digest,
    oci::media_type::{OCI_INDEX, OCI_MANIFEST},
};
use soci_testing::{
    fake_registry::{Access, FakeRegistry, Login, Settings},
    image::{Image, Layer, REPOSITORY, noise, tar_of},
    program::Program,
    real_registry::RealRegistry,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    arguments,
    direct::Direct,
    plan::{Before, Door, Fake, Kind, Plan, Shape},
};

const SHAPES: [Shape; 2] = [Shape::Single, Shape::List];
const BEFORE: [Before; 3] = [Before::Nothing, Before::Result, Before::Older];

/// User and password of registries that want them.
pub(crate) const USER: (&str, &str) = ("user", "secret-word");

/// The registries, and what is right.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    http: reqwest::Client,
    real: RealRegistry,
    fakes: HashMap<(Shape, Before), FakeRegistry>,
    /// Digests by tag, before a run.
    tags: HashMap<(bool, Shape, Before), HashMap<String, Digest>>,
    rights: HashMap<Shape, Vec<Right>>,
}

/// What is right for one image, asked for in one way.
pub(crate) struct Right {
    pub(crate) tag: &'static str,
    pub(crate) version: &'static str,
    pub(crate) platform: Option<&'static str>,
    pub(crate) image: Digest,
    pub(crate) output: Digest,
    /// The image's manifests, each with its SOCI index.
    pub(crate) indexes: Vec<(Digest, Digest)>,
}

/// A repository of one run.
pub(crate) struct Home<'a> {
    fake: Option<FakeRegistry>,
    pub(crate) repository: String,
    /// The registry, and its storage where it has one.
    pub(crate) upstream: Vec<String>,
    pub(crate) direct: Direct<'a>,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let mut stage = Self {
            runtime: Builder::new_multi_thread().enable_all().build().unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            real: RealRegistry::start(),
            fakes: HashMap::new(),
            tags: HashMap::new(),
            rights: HashMap::new(),
        };
        for shape in SHAPES {
            for before in BEFORE {
                let fake = FakeRegistry::start();
                let in_real = template(shape, before);
                for (is_real, host, repository) in [
                    (true, stage.real.host(), in_real.as_str()),
                    (false, &fake.host(), REPOSITORY),
                ] {
                    let tags = stage.fill(host, repository, shape, before);
                    stage.tags.insert((is_real, shape, before), tags);
                }
                stage.fakes.insert((shape, before), fake);
            }
            let rights = stage.rights_of(shape);
            stage.rights.insert(shape, rights);
        }
        stage
    }

    /// Puts all into a repository that a run is to find there; gives what its tags name.
    fn fill(
        &self,
        host: &str,
        repository: &str,
        shape: Shape,
        before: Before,
    ) -> HashMap<String, Digest> {
        let direct = Direct::new(&self.http, host, repository);
        let index = |tag: &str, version: &'static str| {
            let image = format!("{host}/{repository}:{tag}");
            let ended = Program::new(arguments(&image, version, None, false)).run();
            ended.exits(0).json();
        };
        self.runtime.block_on(async {
            for (tag, image) in [("v0", image(shape, 7)), ("v1", image(shape, 8))] {
                for (_, bytes) in image.blobs() {
                    direct.put_blob(bytes.clone()).await;
                }
                for (media_type, bytes) in image.manifests() {
                    let digest = Digest::of(bytes);
                    let name = digest.to_string();
                    direct.put_manifest(&name, media_type, bytes.clone()).await;
                    if tag == "v1" && media_type == OCI_MANIFEST {
                        direct.sign(&digest).await;
                    }
                    if digest == image.digest() {
                        direct.put_manifest(tag, media_type, bytes.clone()).await;
                    }
                }
            }
        });
        index("v0", "v2");
        match before {
            Before::Nothing => {}
            Before::Result => ["v1", "v2"]
                .into_iter()
                .for_each(|version| index("v1", version)),
            Before::Older => self.runtime.block_on(async {
                let older = direct.manifest("v0-soci").await.unwrap();
                direct.put_manifest("v1-soci", OCI_INDEX, older.bytes).await;
            }),
        }
        self.runtime.block_on(async {
            let mut tags = HashMap::new();
            for tag in direct.tags().await {
                let digest = direct.manifest(&tag).await.unwrap().digest();
                tags.insert(tag, digest);
            }
            tags
        })
    }

    /// What undisturbed runs give.
    fn rights_of(&self, shape: Shape) -> Vec<Right> {
        let platforms: &[_] = match shape {
            Shape::Single => &[None],
            Shape::List => &[None, Some("linux/amd64")],
        };
        let mut wanted = Vec::new();
        for tag in ["v0", "v0-soci", "v1"] {
            for version in ["v1", "v2"] {
                wanted.extend(platforms.iter().map(|&platform| (tag, version, platform)));
            }
        }
        thread::scope(|scope| {
            let runs: Vec<_> = wanted
                .into_iter()
                .map(|(tag, version, platform)| {
                    let registry = self.fakes[&(shape, Before::Nothing)].copy(Settings::default());
                    scope.spawn(move || {
                        let image = format!("{}/{REPOSITORY}:{tag}", registry.host());
                        let program = Program::new(arguments(&image, version, platform, false));
                        let result = program.run().exits(0).json();
                        let digest = |value: &serde_json::Value| value.as_str()?.parse().ok();
                        let indexes = result["indexes"].as_array().unwrap().iter();
                        Right {
                            tag,
                            version,
                            platform,
                            image: digest(&result["image_digest"]).unwrap(),
                            output: digest(&result["output_digest"]).unwrap(),
                            indexes: indexes
                                .filter_map(|index| {
                                    let manifest = digest(&index["manifest_digest"])?;
                                    Some((manifest, digest(&index["index_digest"])?))
                                })
                                .collect(),
                        }
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        })
    }

    /// A repository for a run.
    pub(crate) fn home(&self, plan: &Plan) -> Home<'_> {
        let (fake, host, repository) = match plan.kind {
            Kind::Real => {
                // No bit, and no piece that moves, makes one of these names another.
                let random = fastrand::Rng::with_seed(!plan.seed).u64(..);
                let repository = format!("runs/{random:016x}");
                self.real
                    .copy_repository(&template(plan.shape, plan.before), &repository);
                (None, self.real.host().to_owned(), repository)
            }
            Kind::Fake(fake) => {
                let template = &self.fakes[&(plan.shape, plan.before)];
                let copy = template.copy(settings(fake));
                let host = copy.host();
                (Some(copy), host, REPOSITORY.to_owned())
            }
        };
        let storage = fake.as_ref().map(FakeRegistry::storage);
        Home {
            direct: Direct::new(&self.http, &host, &repository),
            upstream: [host].into_iter().chain(storage).collect(),
            fake,
            repository,
        }
    }

    /// What the tags of a run's repository named before.
    pub(crate) fn tags(&self, plan: &Plan) -> &HashMap<String, Digest> {
        &self.tags[&(plan.kind == Kind::Real, plan.shape, plan.before)]
    }

    /// What is right for what a run is asked for, whatever image its tag names.
    pub(crate) fn rights(&self, plan: &Plan) -> impl Iterator<Item = &Right> {
        let (version, platform) = (plan.version, plan.platform);
        self.rights[&plan.shape]
            .iter()
            .filter(move |right| right.version == version && right.platform == platform)
    }
}

impl Home<'_> {
    /// From now on the registry wants to see who comes, as planned.
    pub(crate) fn close(&self, plan: &Plan) {
        if let (Some(registry), Kind::Fake(fake)) = (&self.fake, plan.kind) {
            let (user, password) = USER;
            registry.require(match fake.door {
                Door::Open => Access::Open,
                Door::Password => Access::Basic(user, password),
                Door::Token => Access::Bearer(Login::Password(user, password)),
            });
        }
    }

    /// From now on the registry lets everybody in, and has no ways of its own.
    pub(crate) fn open(&self) {
        if let Some(registry) = &self.fake {
            registry.require(Access::Open);
            registry.become_like(Settings::default());
        }
    }
}

fn template(shape: Shape, before: Before) -> String {
    format!("templates/{shape:?}-{before:?}").to_lowercase()
}

fn settings(fake: Fake) -> Settings {
    Settings {
        redirect_blobs: fake.redirects,
        content_digest: fake.content_digest,
        immutable_tags: fake.immutable_tags,
        absolute_locations: fake.absolute_locations,
        referrers_page: if fake.pages { 1 } else { usize::MAX },
        referrers_filter: !fake.pages,
        ..Settings::default()
    }
}

/// Several layers, of which the last is the release's own.
fn image(shape: Shape, release: u64) -> Image {
    let layer = |seed: u64, files: u64, bytes: usize| {
        tar_of((0..files).map(|number| {
            let text = "some text ".repeat(usize::try_from(number).unwrap() * 7);
            let bytes = [noise(seed + number, bytes), text.into_bytes()].concat();
            (format!("usr/share/{seed}/{number}"), bytes)
        }))
    };
    let base = Layer::gzip(&layer(100, 12, 9_000));
    let tools = Layer::gzip(&layer(200, 30, 500));
    let plain = Layer::plain(layer(300, 4, 3_000));
    let top = Layer::gzip(&layer(1_000 * release, 3, 4_000));
    let intel = Image::of([&base, &tools, &top]);
    match shape {
        Shape::Single => intel,
        Shape::List => Image::list([
            ("linux/amd64", intel),
            (
                "linux/arm64",
                Image::for_platform("linux/arm64", [&base, &plain, &top]),
            ),
        ]),
    }
}
