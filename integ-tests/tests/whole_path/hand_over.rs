//! A build that takes longer than an invocation of the provider may.

use std::time::{Duration, Instant};

use local_cloud::{
    codebuild::{Phase, Script},
    faults::Gate,
};

use crate::{
    deployment::{Index, Repository, Stack, Succeeds, assert_data},
    shared::{PACE, Shared, story_apart},
};

/// So short that the provider hands over after four seconds.
const INVOCATION_SECONDS: u16 = 6;
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// How often a function was allowed to invoke itself.
fn invocations(shared: &Shared) -> usize {
    let record = shared.cloud.cloud().iam().record();
    let own = |one: &&_| {
        let local_cloud::iam::Decision {
            action, allowed, ..
        } = one;
        action == "lambda:InvokeFunction" && *allowed
    };
    record.iter().filter(own).count()
}

/// Opens the gate once the provider has handed over twice.
async fn open_after_two(shared: &Shared, gate: &Gate) {
    let limit = Instant::now() + LIMIT;
    while invocations(shared) < 2 && Instant::now() < limit {
        tokio::time::sleep(PAUSE).await;
    }
    gate.open();
}

#[test]
fn the_provider_hands_over_to_itself_and_answers_once() {
    story_apart(PACE, async |shared| {
        let repository = Repository::new(shared, "long").await;
        repository.push("v1", &[50]).await;
        repository.push("v2", &[51]).await;
        let stack = Stack::new(shared, "Long");
        stack
            .deploy(&[Index::v2("Index", &repository, "v1")])
            .await
            .succeeds();
        assert_eq!(invocations(shared), 0);

        let account = shared.cloud.account();
        let function = account.functions().await.unwrap().remove(0);
        account
            .set_function_timeout(&function, INVOCATION_SECONDS)
            .await
            .unwrap();
        let gate = Gate::closed();
        let script = Script::new().held_in(Phase::Provisioning, &gate);
        shared.cloud.cloud().codebuild().next_build(script);
        let new = [Index::v2("Index", &repository, "v2")];
        let (run, ()) = tokio::join!(stack.deploy(&new), open_after_two(shared, &gate));
        run.succeeds();
        assert!(invocations(shared) >= 2);
        // Create, Update and the Delete of what the update replaced; `answers` has seen that none came twice.
        let answers = stack.answers();
        assert_eq!(answers.len(), 3);
        assert_data(&answers[1], &[("Outcome", "indexed")]);
        assert_eq!(stack.builds(), 2);
        stack.assert_rights_were_checked();
    });
}
