//! A run as its seed decides it: the registry, what is in it, what the builder is asked for, and what goes wrong.
//! In: a seed. Out: plain data. Starts nothing.

use fastrand::Rng;
use soci_testing::fake_registry::Route;

use crate::faults::{Fault, Hurt, Place, Planned, Way};

/// Most runs have more requests; what is to strike later than the last strikes nothing.
const REQUESTS: u16 = 40;

/// Silence and what is nearly silence cost a minute each: few runs have one, and no run has two.
const SILENT: u64 = 100;

/// The registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Debian's: keeps no lists of referrers, looks into manifests.
    Real,
    /// Ours: keeps lists of referrers, looks into nothing.
    Fake(Fake),
}

/// How our registry answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fake {
    pub(crate) redirects: bool,
    pub(crate) content_digest: bool,
    pub(crate) immutable_tags: bool,
    pub(crate) absolute_locations: bool,
    pub(crate) pages: bool,
    pub(crate) door: Door,
}

/// What our registry wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    Password,
    Token,
}

/// What the image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// One manifest.
    Single,
    /// An index of two platforms that share a layer.
    List,
}

/// What is under the output tag before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Before {
    Nothing,
    /// The result, and the version 1 index too.
    Result,
    /// The result of an older image.
    Older,
}

/// All about one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    pub(crate) before: Before,
    pub(crate) version: &'static str,
    pub(crate) platform: Option<&'static str>,
    pub(crate) reuse: bool,
    pub(crate) faults: Vec<Planned>,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let before = match rng.u8(..10) {
            0 => Before::Result,
            1..=3 => Before::Older,
            _ => Before::Nothing,
        };
        let kind = if rng.bool() {
            Kind::Real
        } else {
            Kind::Fake(Fake {
                redirects: rng.bool(),
                content_digest: rng.u8(..4) > 0,
                // What is there already could not be replaced.
                immutable_tags: rng.bool() && before == Before::Nothing,
                absolute_locations: rng.bool(),
                pages: rng.bool(),
                door: *rng
                    .choice(&[Door::Open, Door::Password, Door::Token])
                    .unwrap(),
            })
        };
        let shape = *rng.choice(&[Shape::Single, Shape::List]).unwrap();
        let mut plan = Self {
            seed,
            kind,
            shape,
            before,
            version: if rng.u8(..3) == 0 { "v1" } else { "v2" },
            platform: (shape == Shape::List && rng.u8(..4) == 0).then_some("linux/amd64"),
            reuse: rng.u8(..3) == 0,
            faults: Vec::new(),
        };
        let count = match rng.u8(..16) {
            0 => 0,
            1..=6 => 1,
            7..=10 => 2,
            11..=13 => 3,
            14 => 5,
            _ => 8,
        };
        let routes = plan.routes();
        plan.faults = (0..count).map(|_| planned(rng, &routes)).collect();
        if rng.u8(..6) == 0 {
            let is_stored = matches!(plan.kind, Kind::Fake(fake) if fake.redirects);
            let route = if is_stored {
                Route::Storage
            } else {
                Route::ReadBlob
            };
            plan.faults.extend(resumption(rng, route));
        }
        if seed % SILENT == SILENT / 2 {
            let at = place(rng);
            let hurt = match rng.bool() {
                true => Hurt::Silence { at },
                false => Hurt::Drip { at },
            };
            let silence = Planned {
                route: None,
                after: rng.u16(..10),
                fault: Fault::Bytes(Way::ToBuilder, hurt),
                times: 1,
            };
            plan.faults.insert(0, silence);
        }
        plan
    }

    /// The kinds of requests that there will be.
    fn routes(&self) -> Vec<Route> {
        let mut routes = vec![
            Route::ReadManifest,
            Route::PushManifest,
            Route::HeadBlob,
            Route::ReadBlob,
            Route::StartUpload,
            Route::FinishUpload,
        ];
        if self.version == "v1" {
            routes.push(Route::Referrers);
        }
        if let Kind::Fake(fake) = self.kind {
            routes.extend(fake.redirects.then_some(Route::Storage));
            routes.extend((fake.door == Door::Token).then_some(Route::Token));
        }
        routes
    }

    /// Whether the builder will wait for a minute.
    pub(crate) fn has_silence(&self) -> bool {
        self.seed % SILENT == SILENT / 2
    }
}

fn planned(rng: &mut Rng, routes: &[Route]) -> Planned {
    let way = if rng.u8(..3) == 0 {
        Way::ToRegistry
    } else {
        Way::ToBuilder
    };
    let mut times = 1;
    let fault = match rng.u8(..20) {
        0..=2 => {
            times = rng.u8(1..=3);
            Fault::Bytes(way, cut(rng))
        }
        3 => {
            let mut at: Vec<_> = (0..rng.usize(1..=4)).map(|_| place(rng)).collect();
            at.sort_by_key(|place| place.0);
            Fault::Bytes(way, Hurt::Pauses { at, ms: rng.u8(..) })
        }
        4..=7 => {
            let bits = rng.usize(1..=3);
            let at = (0..bits).map(|_| (place(rng), rng.u8(..8))).collect();
            Fault::Bytes(way, Hurt::Flip { at })
        }
        8 => {
            let (at, length) = (place(rng), rng.u16(1..200));
            Fault::Bytes(way, Hurt::Repeat { at, length })
        }
        9 => {
            let (at, length) = (place(rng), rng.u16(2..400));
            Fault::Bytes(way, Hurt::Swap { at, length })
        }
        10..=11 => Fault::Twice,
        12..=13 => Fault::Lost,
        14..=15 => Fault::Other { pick: rng.u16(..) },
        16 => {
            // As many as a request is tried, now and then.
            times = rng.u8(1..=7);
            Fault::Refused {
                status: *rng.choice(&[429, 500, 503]).unwrap(),
                retry_after: rng.bool(),
            }
        }
        17 => Fault::Length {
            by: rng.i16(-400..400),
        },
        _ => Fault::Late {
            others: rng.u8(1..4),
        },
    };
    somewhere(rng, routes, fault, times)
}

/// A part of a blob is asked for only where the whole did not come.
fn resumption(rng: &mut Rng, route: Route) -> [Planned; 2] {
    let cut = Fault::Bytes(Way::ToBuilder, cut(rng));
    let second = match rng.u8(..3) {
        0 => Fault::WholeBlob,
        1 => Fault::OtherPart { by: rng.u8(..) },
        _ => cut.clone(),
    };
    [cut, second].map(|fault| Planned {
        route: Some(route),
        after: 0,
        fault,
        times: 1,
    })
}

/// Half of the faults strike anywhere, half requests of one kind.
fn somewhere(rng: &mut Rng, routes: &[Route], fault: Fault, times: u8) -> Planned {
    let route = *rng.choice(routes).unwrap();
    let (route, after) = if rng.bool() {
        (Some(route), rng.u16(..4))
    } else {
        (None, rng.u16(..REQUESTS))
    };
    Planned {
        route,
        after,
        fault,
        times,
    }
}

fn cut(rng: &mut Rng) -> Hurt {
    Hurt::Cut {
        at: place(rng),
        reset: rng.bool(),
    }
}

fn place(rng: &mut Rng) -> Place {
    Place(rng.u32(..))
}
