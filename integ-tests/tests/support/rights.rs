//! Withholding rights: what a try of everything says, and which rights it can do without.

use futures_util::{StreamExt, stream};
use local_cloud::{
    answers::Answer,
    iam::Lasts,
    stage::{Event, Provider, Scene},
    template::Right,
};

use super::{LIMIT, chain, scene};

/// What went wrong, where something did.
pub(crate) type Done<T> = Result<T, String>;

/// The answer to an event, after everything has become quiet.
pub(crate) async fn answered(provider: &Provider, event: &Event) -> Done<Answer> {
    let answer = provider.answer(event, LIMIT).await;
    let answer = answer.map_err(|error| chain(&error))?;
    let quiet = provider.lambda.quiet(LIMIT).await;
    quiet.map_err(|error| error.to_string())?;
    Ok(answer)
}

/// The same where it is a success.
pub(crate) async fn good(provider: &Provider, event: &Event) -> Done<Answer> {
    let answer = answered(provider, event).await?;
    match answer.succeeded() {
        true => Ok(answer),
        false => Err(answer.text("Reason").to_owned()),
    }
}

pub(crate) fn holds(truth: bool, what: &str) -> Done<()> {
    if truth { Ok(()) } else { Err(what.to_owned()) }
}

/// The rights without which all is done nevertheless.
pub(crate) async fn needless(
    rights: Vec<Right>,
    doing: impl AsyncFn(&Scene) -> Done<()>,
) -> Vec<Right> {
    let doing = &doing;
    let tries = rights.into_iter().map(|right| async move {
        let scene = scene().await;
        scene
            .cloud
            .iam()
            .withhold(&right.role, &right.action, Lasts::UntilLifted);
        let done = doing(&scene).await;
        (right, done)
    });
    let tried: Vec<(Right, Done<()>)> = stream::iter(tries).buffer_unordered(3).collect().await;
    for (right, done) in &tried {
        let (role, action) = (&right.role, &right.action);
        eprintln!("without {action} of {role}: {done:?}");
    }
    let needless = tried.into_iter().filter(|(_, done)| done.is_ok());
    needless.map(|(right, _)| right).collect()
}
