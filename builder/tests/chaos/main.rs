//! Faults at scale: the real program indexes images through a proxy that cuts, delays, repeats, corrupts, mixes up and
//! reorders as a seed says. Each run ends with the right digest or with a clear error, within a bound, and nothing that is
//! wrong or incomplete has a tag.
//!
//! `CHAOS_SEEDS=17` runs one seed again and tells what it met; `CHAOS_SEEDS=0..10000` runs many.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod copies;
mod direct;
mod faults;
mod journal;
mod judge;
mod plan;
mod proxy;
mod stage;
mod wire;

use std::{
    collections::BTreeMap,
    env, fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::{Duration, Instant},
};

use soci_testing::{program::Program, side_by_side};

use judge::Judge;
use plan::Plan;
use proxy::Proxy;
use stage::{Stage, USER};

const SEEDS: Range<u64> = 0..1_000;

/// Most of a run is waiting.
const SIDE_BY_SIDE: usize = 48;

/// No run takes longer: a minute of silence, and some requests that are tried as often as can be with 16 s of pauses each, on a
/// machine that has much else to do.
const BOUND: Duration = Duration::from_secs(300);

#[test]
fn every_run_ends_in_the_right_digest_or_a_clear_error() {
    let seeds = match env::var("CHAOS_SEEDS") {
        Ok(text) => seeds(&text),
        Err(_) => SEEDS,
    };
    let is_one = seeds.clone().count() == 1;
    let started = Instant::now();
    let stage = Stage::set();
    let mut plans: Vec<Plan> = seeds.map(Plan::of).collect();
    // What takes longest starts first.
    plans.sort_by_key(|plan| !plan.has_silence());
    let summary = Mutex::new(Summary::default());
    side_by_side(plans, SIDE_BY_SIDE, |plan| {
        let run = Run::of(&stage, &plan);
        if is_one {
            eprintln!("{run}");
        }
        summary.lock().unwrap().add(run);
    });
    let mut summary = summary.into_inner().unwrap();
    summary.seconds = started.elapsed().as_secs_f64();
    eprintln!("{summary}");
    let failed = summary.failed;
    assert!(
        failed.is_empty(),
        "{} runs failed, seeds {:?}:\n{}",
        failed.len(),
        summary.seeds_failed,
        failed[..failed.len().min(5)].join("\n\n")
    );
}

fn seeds(text: &str) -> Range<u64> {
    let number = |text: &str| text.parse::<u64>();
    let range = match text.split_once("..") {
        Some((from, to)) => number(from).and_then(|from| Ok(from..number(to)?)),
        None => number(text).map(|one| one..one + 1),
    };
    range.unwrap_or_else(|error| panic!("CHAOS_SEEDS is a number or a range, as in 0..10: {error}"))
}

/// What the program is asked for.
fn arguments(image: &str, version: &str, platform: Option<&str>, reuse: bool) -> Vec<String> {
    let fixed = ["index", image, "--json", "--index-version", version];
    let small = ["--min-layer-size", "0", "--span-size", "32KiB"];
    let platform = platform.map(|platform| ["--platform", platform]);
    let reuse = reuse.then_some(["--reuse-from", "v0-soci"]);
    let chosen = platform.iter().chain(&reuse).flatten();
    let all = fixed.iter().chain(&small).chain(chosen);
    all.map(|&argument| argument.to_owned()).collect()
}

/// A run that is over.
struct Run {
    plan: Plan,
    /// Faults that struck.
    met: Vec<(&'static str, String)>,
    said: String,
    /// Whether it ended with its result; else, that it failed the test, and why.
    verdict: Result<bool, String>,
}

impl Run {
    fn of(stage: &Stage, plan: &Plan) -> Self {
        let runtime = stage.runtime.handle();
        let home = stage.home(plan);
        let proxy = Proxy::start(runtime, &home.upstream, plan.faults.clone());
        let earlier =
            ["v0", "v0-soci"].map(|tag| format!("/v2/{}/manifests/{tag}", home.repository));
        runtime.block_on(proxy.ask(&earlier)).unwrap();
        home.close(plan);
        let image = format!("{}/{}:v1", proxy.host(), home.repository);
        let program = Program::new(arguments(&image, plan.version, plan.platform, plan.reuse))
            .env("SOCI_REGISTRY_USERNAME", USER.0)
            .env("SOCI_REGISTRY_PASSWORD", USER.1);
        let mut said = String::new();
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            let ended = program.start().wait_for(BOUND);
            said = format!("{:?} {}{}", ended.code, ended.stdout, ended.stderr);
            home.open();
            let judge = Judge {
                stage,
                plan,
                home: &home,
                journal: proxy.journal(),
                image: &image,
            };
            runtime.block_on(judge.judge(ended))
        }));
        let entries = proxy.journal().entries();
        Self {
            plan: plan.clone(),
            met: entries
                .iter()
                .map(|entry| (entry.fault.name(), entry.to_string()))
                .collect(),
            said,
            verdict: verdict.map_err(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or(panic.downcast_ref::<&str>().copied());
                text.unwrap_or("a panic without words").to_owned()
            }),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        writeln!(f, "CHAOS_SEEDS={}: {:?}", plan.seed, self.verdict)?;
        writeln!(
            f,
            "  {:?} {:?} {:?} {} {:?} reuse {}",
            plan.kind, plan.shape, plan.before, plan.version, plan.platform, plan.reuse
        )?;
        for (_, fault) in &self.met {
            writeln!(f, "  {fault}")?;
        }
        write!(f, "  said: {}", self.said)
    }
}

/// What became of all runs.
#[derive(Default)]
struct Summary {
    runs: u32,
    right: u32,
    undisturbed: u32,
    kinds: BTreeMap<&'static str, u32>,
    seconds: f64,
    seeds_failed: Vec<u64>,
    failed: Vec<String>,
}

impl Summary {
    fn add(&mut self, run: Run) {
        self.runs += 1;
        self.right += u32::from(run.verdict == Ok(true));
        self.undisturbed += u32::from(run.met.is_empty());
        for (kind, _) in &run.met {
            *self.kinds.entry(kind).or_default() += 1;
        }
        if run.verdict.is_err() {
            self.seeds_failed.push(run.plan.seed);
            self.failed.push(run.to_string());
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = u32::try_from(self.failed.len()).unwrap_or(u32::MAX);
        writeln!(
            f,
            "{} runs in {:.0} s: {} ended with the right digest ({} of all met no fault), {} with a clear error, {failed} failed",
            self.runs,
            self.seconds,
            self.right,
            self.undisturbed,
            self.runs - self.right - failed,
        )?;
        let faults: u32 = self.kinds.values().sum();
        writeln!(f, "{faults} faults:")?;
        for (kind, count) in &self.kinds {
            writeln!(f, "{count:>7} {kind}")?;
        }
        Ok(())
    }
}
