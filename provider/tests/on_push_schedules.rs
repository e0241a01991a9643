//! A thousand weeks of a repository, each by its seed: tags that are pushed, pushed again and moved while events run; events that come
//! twice, late, or side by side; functions that are killed at any moment or short of time; calls that are refused; images that are broken.
//! Whatever happens, no event is lost: it ends well, or lies in the queue. When that is redriven, every tag whose image is not broken has
//! that image's index, and nothing is left to do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{collections::BTreeMap, sync::OnceLock, thread, time::Duration};

use fastrand::Rng;
use serde_json::Value;
use support::{
    Cloud,
    images::{Image, multi_platform, real, single},
    on_push::{Lines, SETTINGS, batch, push, queued},
    schedule::{ENDLESS, TRIES, process, refusal, run_all},
};
use tokio::runtime::Runtime;

const PACE: &str = "0.01";
const TAGS: [&str; 3] = ["v1", "v2", "latest"];
const REFUSED: [&str; 9] = [
    "GetAuthorizationToken",
    "DescribeImages",
    "BatchGetImage",
    "GetManifest",
    "PutManifest",
    "GetBlob",
    "HeadBlob",
    "StartUpload",
    "PutUpload",
];

#[test]
fn every_schedule_ends_with_every_event_accounted_for() {
    run_all(|servers, seed| Week::begin(servers, seed).live());
}

/// A repository, and the function that watches it.
struct Week {
    seed: u64,
    rng: Rng,
    cloud: Cloud,
    lines: Lines,
    /// Events of all pushes.
    events: Vec<Value>,
    /// The bodies of the queue's messages.
    queue: Vec<Value>,
}

impl Week {
    fn begin(servers: &Runtime, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let cloud = servers.block_on(Cloud::start());
        cloud.state().images.clear();
        cloud.state().are_tags_immutable = false;
        for _ in 0..rng.usize(0..4) {
            let (operation, status, code) = refusal(&REFUSED, 403, &mut rng);
            cloud.refuse(operation, rng.usize(1..12), status, code);
        }
        Self {
            seed,
            rng,
            cloud,
            lines: Lines::default(),
            events: Vec::new(),
            queue: Vec::new(),
        }
    }

    fn live(mut self) {
        for _ in 0..self.rng.usize(1..3) {
            // Some are pushed while the others' events run.
            let pushes = self.rng.usize(1..4);
            let late = self.rng.usize(..pushes);
            let mut events: Vec<Value> = (late..pushes).map(|_| self.push()).collect();
            if self.rng.u8(..) < 80 {
                events.push(events[self.rng.usize(..events.len())].clone());
            }
            // EventBridge and Lambda keep no order.
            if let Some(earlier) = self.events.first().filter(|_| self.rng.u8(..) < 40) {
                events.push(earlier.clone());
            }
            self.rng.shuffle(&mut events);
            self.run(&events, late);
        }
        self.redrive();
        self.check();
    }

    /// Somebody pushes an image; gives the event.
    fn push(&mut self) -> Value {
        let tag = TAGS[self.rng.usize(..TAGS.len())];
        let image = any_image(&mut self.rng);
        image.add_to(&mut self.cloud.state(), tag);
        let event = push(tag, &image.digest());
        self.events.push(event.clone());
        event
    }

    /// Runs events side by side, and meanwhile pushes `late` more, whose events run as well.
    fn run(&mut self, events: &[Value], late: usize) {
        let mut rngs: Vec<Rng> = (0..events.len() + late).map(|_| self.rng.fork()).collect();
        let (cloud, lines) = (&self.cloud, &self.lines);
        let ended: Vec<(Option<Value>, Option<Value>)> = thread::scope(|scope| {
            let mut runs = Vec::new();
            for event in events {
                let rng = rngs.remove(0);
                runs.push(scope.spawn(move || (None, deliver(cloud, lines, event, rng))));
            }
            for mut rng in rngs {
                runs.push(scope.spawn(move || {
                    thread::sleep(Duration::from_micros(rng.u64(..60_000)));
                    let (tag, image) = (TAGS[rng.usize(..TAGS.len())], any_image(&mut rng));
                    image.add_to(&mut cloud.state(), tag);
                    let event = push(tag, &image.digest());
                    let failed = deliver(cloud, lines, &event, rng);
                    (Some(event), failed)
                }));
            }
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for (event, failed) in ended {
            self.events.extend(event);
            self.queue.extend(failed);
        }
    }

    /// Somebody mends what was wrong, and turns the queue's mapping on.
    fn redrive(&mut self) {
        self.cloud.state().refusals.clear();
        let (cloud, lines) = (&self.cloud, &self.lines);
        self.queue.retain(|body| {
            let function = cloud.on_push_at(SETTINGS, PACE, lines);
            process(async {
                function
                    .run(&batch(std::slice::from_ref(body)), ENDLESS)
                    .await
            })
            .is_err()
        });
    }

    fn check(&self) {
        let context = format!("seed {}: {:#?}", self.seed, self.events);
        let named = |tag: &str| self.cloud.state().images.get(tag).map(Image::digest);
        for tag in TAGS {
            let Some(image) = named(tag) else {
                continue;
            };
            let output = named(&format!("{tag}-soci"));
            match &indexes()[&image] {
                Some(index) => assert_eq!(output.as_ref(), Some(index), "{tag}: {context}"),
                // It has the index of an earlier image, or none.
                None => {
                    let earlier = output.filter(|output| {
                        !indexes().values().flatten().any(|index| index == output)
                    });
                    assert_eq!(earlier, None, "{tag}: {context}");
                    let is_queued = |body: &Value| body["requestPayload"] == push(tag, &image);
                    assert!(
                        self.queue.iter().any(is_queued),
                        "{tag} was lost: {context}"
                    );
                }
            }
        }
        // Every event once more: what is there is no work.
        let puts = self.cloud.called("PutManifest");
        let lines = Lines::default();
        let function = self.cloud.on_push_at(SETTINGS, PACE, &lines);
        for event in &self.events {
            let _ = process(async { function.run(event, ENDLESS).await });
        }
        for record in lines.records() {
            let is_broken = record["Digest"] == single().digest();
            let outcome = record["Outcome"].as_str().unwrap();
            let expected = ["already-there", "skipped"].contains(&outcome)
                || (is_broken && outcome == "failed");
            assert!(expected, "{record:#} {context}");
        }
        assert_eq!(self.cloud.called("PutManifest"), puts, "{context}");
    }
}

/// Runs an event as Lambda does: again where it fails, in a process that can die. Gives the queue's message if it failed for good.
fn deliver(cloud: &Cloud, lines: &Lines, event: &Value, mut rng: Rng) -> Option<Value> {
    for _ in 0..TRIES {
        let time = match rng.u8(..) {
            ..=40 => Duration::from_millis(rng.u64(50..400)),
            _ => ENDLESS,
        };
        let is_killed = rng.u8(..) < 60;
        let life = match is_killed {
            true => Duration::from_micros(rng.u64(..150_000)),
            false => ENDLESS,
        };
        let ended = process(async {
            let function = cloud.on_push_at(SETTINGS, PACE, lines);
            tokio::time::timeout(life, function.run(event, time)).await
        });
        match ended {
            Ok(Ok(_)) => return None,
            Ok(Err(_)) => {}
            Err(_) => assert!(is_killed, "an invocation does not end: {event:#}"),
        }
    }
    Some(queued(event))
}

fn images() -> [Image; 6] {
    [
        real(&[1]),
        real(&[1, 2]),
        real(&[2]),
        real(&[1, 2, 3]),
        multi_platform(),
        single(),
    ]
}

fn any_image(rng: &mut Rng) -> Image {
    let mut images = images();
    let number = rng.usize(..images.len());
    std::mem::replace(&mut images[number], single())
}

/// The index of each image, and none of the broken one.
fn indexes() -> &'static BTreeMap<String, Option<String>> {
    static INDEXES: OnceLock<BTreeMap<String, Option<String>>> = OnceLock::new();
    INDEXES.get_or_init(|| {
        let of = |image: Image| {
            process(async {
                let cloud = Cloud::start().await;
                image.add_to(&mut cloud.state(), "v1");
                let function = cloud.on_push(SETTINGS);
                let _ = function.run(&push("v1", &image.digest()), ENDLESS).await;
                let output = cloud.state().images.get("v1-soci").map(Image::digest);
                (image.digest(), output)
            })
        };
        images().into_iter().map(of).collect()
    })
}
