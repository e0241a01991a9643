//! Builds that end badly: in every phase, in every state, and without a word.

use local_cloud::codebuild::{Exports, Phase, Script, Status};

use crate::support::{ask, builds_of, failed_with, keeper, scene};

#[tokio::test]
async fn a_build_that_dies_is_told_with_its_phase_and_state() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let words = [
        (Status::Failed, "failed"),
        (Status::Fault, "CodeBuild"),
        (Status::TimedOut, "timed out (TIMED_OUT)"),
        (Status::Stopped, "was stopped"),
    ];
    for phase in [
        Phase::Queued,
        Phase::Provisioning,
        Phase::DownloadSource,
        Phase::Build,
    ] {
        for (status, word) in words {
            let message = format!("no luck in {phase}");
            let script = Script::new().dies_in(phase, status, "CODE", &message);
            scene.cloud.codebuild().next_build(script);
            let event = provider.create();
            let answer = ask(&provider, &event).await;
            let builds = builds_of(&scene, &event);
            failed_with(&answer, &[word, phase.name(), &message, builds[0].id()]);
            assert_eq!(builds.len(), 1);
            // Before it has a log, a link to it leads nowhere.
            let has_link = answer.text("Reason").contains("https://");
            assert_eq!(
                has_link,
                phase > Phase::Provisioning,
                "{}",
                answer.text("Reason")
            );
        }
    }
}

#[tokio::test]
async fn a_build_that_says_nothing_is_no_success() {
    for exports in [Exports::Empty, Exports::Missing] {
        let scene = scene().await;
        let provider = keeper(&scene).await;
        scene
            .cloud
            .codebuild()
            .next_build(Script::new().exports(exports));
        let answer = ask(&provider, &provider.create()).await;
        failed_with(&answer, &["returned no result", "https://"]);
    }
}

#[tokio::test]
async fn a_builder_that_prints_no_result_is_told() {
    for (program, words) in [
        ("#!/bin/bash\nexit 0\n", "returned no result"),
        ("#!/bin/bash\necho plain words\nexit 0\n", "cannot parse"),
        ("#!/bin/bash\necho '{}'\nexit 0\n", "cannot parse"),
        ("#!/bin/bash\nexit 1\n", "in phase BUILD"),
        ("#!/bin/bash\nkill -9 $$\n", "in phase BUILD"),
        ("no program\u{1}", "in phase BUILD"),
    ] {
        let scene = scene().await;
        scene.account.replace_builder(program.as_bytes()).unwrap();
        let provider = keeper(&scene).await;
        failed_with(&ask(&provider, &provider.create()).await, &[words]);
    }
}

#[tokio::test]
async fn a_failed_build_tells_its_words_where_codebuild_keeps_them() {
    let fails =
        "#!/bin/bash\necho '{\"outcome\":\"failed\",\"error\":\"the layer is odd\"}'\nexit 1\n";
    for (exports, words) in [
        (Exports::Kept, "the layer is odd"),
        (Exports::LostOnFailure, "in phase BUILD"),
    ] {
        let scene = scene().await;
        scene.account.replace_builder(fails.as_bytes()).unwrap();
        let provider = keeper(&scene).await;
        scene
            .cloud
            .codebuild()
            .next_build(Script::new().exports(exports));
        failed_with(
            &ask(&provider, &provider.create()).await,
            &[words, "https://"],
        );
    }
}

#[tokio::test]
async fn a_source_that_lost_its_modes_runs_all_the_same() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().drops_modes());
    crate::support::succeeded(&ask(&provider, &provider.create()).await);
}
