//! Create, Update, Delete, and what stays the same between them.

use local_cloud::{
    codebuild::{Phase, Script, Status},
    faults::Gate,
    image::{Image, Layer, Types},
    stage::{Options, REPOSITORY},
};

use crate::support::{
    ATTRIBUTES, arguments_of, ask, attributes, builds_of, empty_scene, failed_with, image, keeper,
    scene, succeeded, texts,
};

#[tokio::test]
async fn a_create_builds_the_index_and_says_what_it_made() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let event = provider.create();
    let answer = ask(&provider, &event).await;
    succeeded(&answer);

    let tag = event.property("OutputImageTag");
    let made = scene.cloud.ecr().tags(REPOSITORY)[tag].clone();
    assert_eq!(
        answer.text("PhysicalResourceId"),
        format!("{REPOSITORY}:{tag}@{made}")
    );
    assert_eq!(attributes(&answer), ATTRIBUTES);
    assert_eq!(answer.data("OutputImageTag"), tag);
    assert_eq!(answer.data("OutputImageDigest"), made);
    assert_eq!(answer.data("InputImageDigest"), image(1).digest());
    assert_eq!(answer.data("Outcome"), "indexed");
    assert_eq!(answer.data("LayersIndexed"), "2");
    assert_eq!(answer.data("LayersReused"), "0");
    assert!(answer.data("BytesRead").parse::<u64>().unwrap() > 30_000);

    let builds = builds_of(&scene, &event);
    assert_eq!(builds.len(), 1);
    assert_eq!(answer.data("BuildId"), builds[0].id());
    assert_eq!(provider.answers.all(&event.place).len(), 1);
    assert!(
        scene.cloud.denials().is_empty(),
        "{:?}",
        scene.cloud.denials()
    );
}

#[tokio::test]
async fn an_index_that_is_there_is_not_built_again_and_has_the_same_id() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let first = ask(&provider, &provider.create()).await;
    let event = provider.create();
    let again = ask(&provider, &event).await;
    succeeded(&again);
    assert_eq!(again.data("Outcome"), "already-there");
    assert_eq!(again.data("BuildId"), "");
    assert_eq!(attributes(&again), ATTRIBUTES);
    assert_eq!(
        again.data("OutputImageDigest"),
        first.data("OutputImageDigest")
    );
    assert_eq!(
        again.text("PhysicalResourceId"),
        first.text("PhysicalResourceId")
    );
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
}

#[tokio::test]
async fn an_update_makes_a_new_one_and_the_old_one_can_go() {
    let scene = scene().await;
    image(2).push(&scene.cloud, REPOSITORY, "v2").await.unwrap();
    let provider = keeper(&scene).await;
    let create = provider.create();
    let created = ask(&provider, &create).await;
    let old_id = created.text("PhysicalResourceId");

    let update = provider
        .update(&create, old_id)
        .with("InputImageTag", "v2")
        .with("OutputImageTag", "v2-soci");
    let updated = ask(&provider, &update).await;
    succeeded(&updated);
    assert_ne!(updated.text("PhysicalResourceId"), old_id);
    assert_eq!(updated.data("InputImageDigest"), image(2).digest());

    let delete = provider.delete(&create, old_id);
    let calls = provider.calls.all().len();
    let deleted = ask(&provider, &delete).await;
    succeeded(&deleted);
    assert_eq!(deleted.text("PhysicalResourceId"), old_id);
    // Nothing is deleted by default: all four tags are there.
    assert_eq!(
        scene.cloud.ecr().tags(REPOSITORY).len(),
        4,
        "{:?}",
        provider.calls.all()[calls..].len()
    );

    // The way back, as a rollback goes it: no build.
    let back = provider
        .update(&update, updated.text("PhysicalResourceId"))
        .with("InputImageTag", create.property("InputImageTag"))
        .with("OutputImageTag", create.property("OutputImageTag"));
    let rolled_back = ask(&provider, &back).await;
    assert_eq!(rolled_back.text("PhysicalResourceId"), old_id);
    assert!(builds_of(&scene, &back).is_empty());
}

#[tokio::test]
async fn an_update_of_options_alone_keeps_what_can_be_kept() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let create = provider.create();
    let created = ask(&provider, &create).await;
    let update = provider
        .update(&create, created.text("PhysicalResourceId"))
        .with("PrefetchFiles", texts(&["noise"]))
        .with("OutputImageTag", "v1-other");
    let updated = ask(&provider, &update).await;
    succeeded(&updated);
    assert_ne!(
        updated.text("PhysicalResourceId"),
        created.text("PhysicalResourceId")
    );
    assert_ne!(
        updated.data("OutputImageDigest"),
        created.data("OutputImageDigest")
    );
}

#[tokio::test]
async fn a_redeploy_reads_only_the_layer_that_is_new() {
    let scene = empty_scene().await;
    let base = Layer::noise(7, 50_000);
    let push = async |seed: u64, tag: &str| {
        let image = Image::of(Types::Docker, &[base.clone(), Layer::noise(seed, 20_000)]);
        image.push(&scene.cloud, REPOSITORY, tag).await.unwrap();
    };
    push(8, "v1").await;
    push(9, "v2").await;
    let provider = keeper(&scene).await;
    let create = provider.create();
    let created = ask(&provider, &create).await;
    succeeded(&created);
    let update = provider
        .update(&create, created.text("PhysicalResourceId"))
        .with("InputImageTag", "v2")
        .with("OutputImageTag", "v2-soci");
    let updated = ask(&provider, &update).await;
    succeeded(&updated);
    assert_eq!(
        (updated.data("LayersIndexed"), updated.data("LayersReused")),
        ("1", "1")
    );
    let read: u64 = updated.data("BytesRead").parse().unwrap();
    assert!((20_000..30_000).contains(&read), "{read} bytes were read");
}

#[tokio::test]
async fn an_image_can_be_named_by_its_digest() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let event = provider
        .create()
        .without("InputImageTag")
        .with("InputImageDigest", image(1).digest())
        // Of a construct that knows more than this provider.
        .with("SomethingNew", "x");
    let answer = ask(&provider, &event).await;
    succeeded(&answer);
    assert_eq!(answer.data("InputImageDigest"), image(1).digest());
    assert_eq!(answer.data("Outcome"), "indexed");
}

#[tokio::test]
async fn who_does_not_wait_has_the_image_at_once_and_the_index_later() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let gate = Gate::closed();
    let script = Script::new().held_in(Phase::Build, &gate);
    scene.cloud.codebuild().next_build(script);
    let event = provider.create().with("WaitForIndex", "false");
    let answer = ask(&provider, &event).await;
    succeeded(&answer);
    assert_eq!(answer.data("Outcome"), "started");
    assert_eq!(answer.data("OutputImageDigest"), image(1).digest());
    assert_eq!(attributes(&answer), ATTRIBUTES);
    let tag = event.property("OutputImageTag");
    assert!(!scene.cloud.ecr().tags(REPOSITORY).contains_key(tag));

    gate.open();
    let build = &builds_of(&scene, &event)[0];
    assert_eq!(build.finished().await, Some(Status::Succeeded));
    let made = scene.cloud.ecr().tags(REPOSITORY)[tag].clone();
    let again = ask(&provider, &provider.create().with("WaitForIndex", "false")).await;
    assert_eq!(again.data("OutputImageDigest"), made);
    assert_eq!(again.data("Outcome"), "already-there");
}

#[tokio::test]
async fn every_option_reaches_the_builder() {
    let scene = empty_scene().await;
    let layers = [Layer::noise(1, 20_000)];
    let image = Image::index(
        Types::Oci,
        &[("linux/amd64", &layers), ("linux/arm64", &layers)],
    );
    image.push(&scene.cloud, REPOSITORY, "v1").await.unwrap();
    let provider = keeper(&scene).await;
    let event = provider
        .create()
        .with("Platforms", texts(&["linux/arm64"]))
        .with("SpanSize", "8192")
        .with(
            "PrefetchFiles",
            texts(&["noise", "it's $HOME \"quoted\" `id`"]),
        )
        .with("WhenTooSmall", "fail")
        .with("WhenUnsupported", "use-original");
    let answer = ask(&provider, &event).await;
    let builds = builds_of(&scene, &event);
    let arguments = arguments_of(&builds[0]);
    for argument in [
        "--platform=linux/arm64",
        "--span-size=8192",
        "--min-layer-size=1024",
        "--prefetch-file=noise",
        "--prefetch-file=it's $HOME \"quoted\" `id`",
        "--when-too-small=fail",
        "--when-unsupported=use-original",
        "--index-version=v2",
        "--json",
    ] {
        assert!(
            arguments.iter().any(|given| given == argument),
            "{argument} is not in {arguments:?}"
        );
    }
    // The builder was given that path as it is: it looked for it in the image, and did not find it.
    let text = format!("{}{}", builds[0].log(), answer.text("Reason"));
    assert!(
        answer.succeeded() || text.contains("it's $HOME \"quoted\" `id`"),
        "{text}"
    );
}

#[tokio::test]
async fn version_1_leaves_the_image_its_tag() {
    let scene = scene().await;
    let provider = scene.provider("KeepV1", Options::default()).await.unwrap();
    let event = provider.create();
    let answer = ask(&provider, &event).await;
    succeeded(&answer);
    assert_eq!(answer.data("OutputImageDigest"), image(1).digest());
    assert_eq!(answer.data("InputImageDigest"), image(1).digest());
    assert_eq!(scene.cloud.ecr().tags(REPOSITORY).len(), 1);
    let id = answer.text("PhysicalResourceId");
    let index = id
        .strip_prefix(&format!("{REPOSITORY}@{}#", image(1).digest()))
        .unwrap();
    assert!(
        scene
            .cloud
            .ecr()
            .digests(REPOSITORY)
            .contains(&format!("sha256:{index}")),
        "{id}"
    );

    let again = provider.create();
    let answered = ask(&provider, &again).await;
    assert_eq!(answered.data("Outcome"), "already-there");
    assert_eq!(answered.text("PhysicalResourceId"), id);
    assert!(builds_of(&scene, &again).is_empty());
}

#[tokio::test]
async fn an_image_of_small_layers_is_used_as_it_is_or_refused() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let event = provider.create().without("MinLayerSize");
    let answer = ask(&provider, &event).await;
    succeeded(&answer);
    assert_eq!(answer.data("Outcome"), "nothing-to-index");
    assert_eq!(answer.data("OutputImageDigest"), image(1).digest());
    let tags = scene.cloud.ecr().tags(REPOSITORY);
    assert_eq!(tags[event.property("OutputImageTag")], image(1).digest());

    let strict = provider
        .create()
        .without("MinLayerSize")
        .with("WhenTooSmall", "fail")
        .with("OutputImageTag", "other");
    failed_with(
        &ask(&provider, &strict).await,
        &["nothing to index", "MinLayerSize"],
    );
    assert!(!scene.cloud.ecr().tags(REPOSITORY).contains_key("other"));
}

#[tokio::test]
async fn a_create_that_fails_leaves_a_marker_and_deleting_it_does_nothing() {
    let scene = empty_scene().await;
    let provider = scene.provider("Destroy", Options::default()).await.unwrap();
    let event = provider.create();
    let answer = ask(&provider, &event).await;
    failed_with(&answer, &["app:v1"]);
    let id = answer.text("PhysicalResourceId");
    assert_eq!(id, format!("not-created/{}", event.request_id()));
    assert!(scene.cloud.codebuild().builds().is_empty());

    let calls_before = provider.calls.all().len();
    let delete = provider.delete(&event, id);
    let deleted = ask(&provider, &delete).await;
    succeeded(&deleted);
    assert_eq!(deleted.text("PhysicalResourceId"), id);
    let calls = provider.calls.all();
    let ecr = calls[calls_before..]
        .iter()
        .filter(|call| call.service == "ecr");
    assert_eq!(ecr.count(), 0, "{}", provider.called());
}

#[tokio::test]
async fn an_update_that_fails_keeps_the_id() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let create = provider.create();
    let created = ask(&provider, &create).await;
    let id = created.text("PhysicalResourceId");
    let update = provider
        .update(&create, id)
        .with("InputImageTag", "missing");
    let answer = ask(&provider, &update).await;
    failed_with(&answer, &["app:missing"]);
    assert_eq!(answer.text("PhysicalResourceId"), id);
}

#[tokio::test]
async fn a_rollback_to_an_image_that_is_gone_needs_only_its_index() {
    type Taken = fn(&local_cloud::ecr::Ecr, &str, &str);
    let taken: [Taken; 2] = [
        local_cloud::ecr::Ecr::expire_image,
        local_cloud::ecr::Ecr::archive_image,
    ];
    for take in taken {
        let scene = scene().await;
        image(2).push(&scene.cloud, REPOSITORY, "v2").await.unwrap();
        let provider = keeper(&scene).await;
        let create = provider.create();
        let created = ask(&provider, &create).await;
        let update = provider
            .update(&create, created.text("PhysicalResourceId"))
            .with("InputImageTag", "v2")
            .with("OutputImageTag", "v2-soci");
        let updated = ask(&provider, &update).await;
        succeeded(&updated);

        take(scene.cloud.ecr(), REPOSITORY, "v1");
        let back = provider
            .update(&update, updated.text("PhysicalResourceId"))
            .with("InputImageTag", "v1")
            .with("OutputImageTag", create.property("OutputImageTag"));
        let answer = ask(&provider, &back).await;
        succeeded(&answer);
        assert_eq!(
            answer.text("PhysicalResourceId"),
            created.text("PhysicalResourceId")
        );
        assert_eq!(
            answer.data("OutputImageDigest"),
            created.data("OutputImageDigest")
        );
        assert_eq!(scene.cloud.codebuild().builds().len(), 2);

        scene
            .cloud
            .ecr()
            .expire_image(REPOSITORY, create.property("OutputImageTag"));
        let again = provider
            .update(&update, updated.text("PhysicalResourceId"))
            .with("InputImageTag", "v1")
            .with("OutputImageTag", create.property("OutputImageTag"));
        failed_with(
            &ask(&provider, &again).await,
            &["app:v1", "no index was found under output tag"],
        );
    }
}

#[tokio::test]
async fn lists_that_are_longer_than_a_variable_reach_the_builder_whole() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let files: Vec<String> = (0..450)
        .map(|at| format!("/a path/of the image, {at}%"))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let event = provider.create().with("PrefetchFiles", texts(&files));
    succeeded(&ask(&provider, &event).await);
    let builds = builds_of(&scene, &event);
    assert!(builds[0].environment().contains_key("SOCI_ARGUMENTS_4"));
    let arguments = arguments_of(&builds[0]);
    for file in &files {
        let argument = format!("--prefetch-file={file}");
        assert!(arguments.contains(&argument), "{file}");
        assert!(
            builds[0].log().contains(file),
            "the builder was not told of {file}"
        );
    }
}
