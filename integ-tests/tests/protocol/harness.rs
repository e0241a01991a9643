//! The Lambda and the answer endpoint that the provider's tests stand on: each of their guards is seen at work, with a
//! function that does as it is told.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{Method, Request};
use local_cloud::{
    answers::{Answers, Down},
    calls::{Calls, Moment},
    lambda_runtime_api::{Allowed, Function, InvokeRefusal, Lambda, Outcome},
};
use soci_testing::http::send;

const LIMIT: Duration = Duration::from_secs(40);

fn function(allowed: Allowed) -> Function {
    Function {
        name: "told".to_owned(),
        program: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/bootstrap.py"),
        environment: BTreeMap::new(),
        timeout: LIMIT,
        retries: 2,
        retry_pause: Duration::from_millis(1),
        allowed,
        role_may: Arc::new(|_, _| Box::pin(async { true })),
        memory_mib: 128,
        event_age_max: LIMIT,
        on_failure: None,
    }
}

fn everyone() -> Allowed {
    Arc::new(|_, _, _| Box::pin(async { Ok(()) }))
}

fn outcomes(lambda: &Lambda) -> Vec<Option<Outcome>> {
    lambda.runs().into_iter().map(|run| run.outcome).collect()
}

#[tokio::test]
async fn an_event_that_is_done_is_not_delivered_again_and_the_process_is_kept() {
    let lambda = Lambda::start(function(everyone())).await.unwrap();
    for number in [1, 2] {
        lambda.deliver(format!(r#"{{"what":"return","number":{number}}}"#));
        lambda.quiet(LIMIT).await.unwrap();
    }
    let made = |number| {
        Some(Outcome::Returned(Bytes::from(format!(
            r#"{{"made": {number}}}"#
        ))))
    };
    assert_eq!(outcomes(&lambda), [made(1), made(2)]);
    assert_eq!(lambda.started().len(), 1);
    assert!(lambda.peak_memory_kib().is_some_and(|peak| peak > 1_000));
}

#[tokio::test]
async fn an_event_that_fails_is_delivered_twice_more_under_the_same_id() {
    for (what, ended) in [("fail", "Failed"), ("die", "Died(\"exit status: 3\")")] {
        let lambda = Lambda::start(function(everyone())).await.unwrap();
        let id = lambda.deliver(format!(r#"{{"what":"{what}"}}"#));
        lambda.quiet(LIMIT).await.unwrap();
        let runs = lambda.runs();
        assert_eq!(
            runs.iter().map(|run| run.attempt).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        assert!(runs.iter().all(|run| run.request_id == id));
        for run in runs {
            let outcome = format!("{:?}", run.outcome.unwrap());
            assert!(outcome.starts_with(ended), "{outcome}");
        }
        assert_eq!(lambda.started().len(), if what == "die" { 3 } else { 1 });
        assert_eq!(lambda.printed().matches(&format!("took {what}")).count(), 3);
    }
}

#[tokio::test]
async fn a_process_is_killed_at_the_timeout() {
    let lambda = Lambda::start(function(everyone())).await.unwrap();
    lambda.set_timeout(Duration::from_millis(500));
    lambda.deliver(r#"{"what":"hang"}"#);
    lambda.quiet(LIMIT).await.unwrap();
    assert_eq!(outcomes(&lambda), [const { Some(Outcome::TimedOut) }; 3]);
    assert_eq!(lambda.peak_memory_kib(), None, "a process lives");
}

#[tokio::test]
async fn events_at_once_run_side_by_side() {
    let lambda = Lambda::start(function(everyone())).await.unwrap();
    lambda.set_timeout(Duration::from_millis(700));
    lambda.deliver(r#"{"what":"hang"}"#);
    lambda.deliver(r#"{"what":"return","number":1}"#);
    lambda.quiet(LIMIT).await.unwrap();
    assert!(lambda.started().len() >= 2);
    assert!(outcomes(&lambda).contains(&Some(Outcome::Returned(Bytes::from(r#"{"made": 1}"#)))));
}

async fn invoke(to: SocketAddr, name: &str, kind: &str) -> u16 {
    let request = Request::post(format!("/2015-03-31/functions/{name}/invocations"))
        .header("host", "lambda")
        .header("x-amz-invocation-type", kind)
        .body(Bytes::from(r#"{"what":"return","number":7}"#))
        .unwrap();
    send(to, request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_function_can_be_invoked_by_who_may() {
    let lambda = Lambda::start(function(everyone())).await.unwrap();
    assert_eq!(invoke(lambda.address(), "other", "Event").await, 404);
    assert_eq!(
        invoke(lambda.address(), "told", "RequestResponse").await,
        400
    );
    lambda.refuse_invokes([
        InvokeRefusal::Throttled,
        InvokeRefusal::Denied,
        InvokeRefusal::Internal,
    ]);
    for status in [429, 403, 500, 202] {
        assert_eq!(invoke(lambda.address(), "told", "Event").await, status);
    }
    lambda.quiet(LIMIT).await.unwrap();
    assert_eq!(lambda.runs().len(), 1);

    let nobody: Allowed =
        Arc::new(|_, action, arn| Box::pin(async move { Err(format!("{action} {arn}")) }));
    let lambda = Lambda::start(function(nobody)).await.unwrap();
    assert_eq!(invoke(lambda.address(), "told", "Event").await, 403);
    assert!(lambda.runs().is_empty());
}

async fn put(url: &str, headers: &[(&str, &str)]) -> Option<u16> {
    let (host, target) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut request = Request::builder()
        .method(Method::PUT)
        .uri(format!("/{target}"))
        .header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Bytes::from(r#"{"Status":"SUCCESS"}"#))
        .unwrap();
    send(host.parse().unwrap(), request)
        .await
        .ok()
        .map(|response| response.status().as_u16())
}

#[tokio::test]
async fn an_answer_counts_only_as_it_was_signed() {
    let answers = Answers::start().await.unwrap();
    let place = answers.place(answers.address(), Duration::ZERO);
    assert_eq!(
        put(&place.url, &[("content-type", "application/json")]).await,
        Some(403)
    );
    assert_eq!(put(&place.url.replace("%2F", "/"), &[]).await, Some(403));
    assert_eq!(
        put(&place.url.replace(&place.signature, ""), &[]).await,
        Some(403)
    );
    assert_eq!(answers.refused().len(), 3);
    assert!(
        answers
            .first(&place, Duration::from_millis(1))
            .await
            .is_err()
    );

    assert_eq!(put(&place.url, &[("content-type", "")]).await, Some(200));
    assert_eq!(put(&place.url, &[]).await, Some(200));
    assert!(answers.first(&place, LIMIT).await.unwrap().succeeded());
    assert_eq!(answers.all(&place).len(), 2);
    assert!(
        answers
            .all(&answers.place(answers.address(), Duration::ZERO))
            .is_empty()
    );
}

#[tokio::test]
async fn an_endpoint_that_is_down_comes_up_again() {
    let answers = Answers::start().await.unwrap();
    let place = answers.place(answers.address(), Duration::ZERO);
    answers.down(Down::Refused, usize::MAX).await.unwrap();
    assert_eq!(put(&place.url, &[]).await, None);
    answers.up().unwrap();
    answers.down(Down::Unavailable, 2).await.unwrap();
    assert_eq!(put(&place.url, &[]).await, Some(503));
    assert_eq!(put(&place.url, &[]).await, Some(503));
    answers.down(Down::Cut, 1).await.unwrap();
    assert_eq!(put(&place.url, &[]).await, None);
    assert!(answers.all(&place).is_empty());
    assert_eq!(put(&place.url, &[]).await, Some(200));
    assert_eq!(answers.all(&place).len(), 1);
}

#[tokio::test]
async fn a_call_stands_still_before_or_after_its_effect() {
    let answers = Answers::start().await.unwrap();
    let calls = Calls::default();
    let front = calls.front("answer", answers.address()).await.unwrap();
    let place = answers.place(front, Duration::ZERO);

    let mut held = calls.hold(1, Moment::Before);
    let sent = put(&place.url, &[]);
    let cut = async {
        held.arrived().await;
        assert!(answers.all(&place).is_empty());
        drop(held);
    };
    assert_eq!(tokio::join!(sent, cut).0, None);
    assert!(answers.all(&place).is_empty());

    let mut held = calls.hold_operation("PUT answer", 0, Moment::After);
    let sent = put(&place.url, &[]);
    let released = async {
        held.arrived().await;
        assert_eq!(answers.all(&place).len(), 1);
        held.release();
    };
    assert_eq!(tokio::join!(sent, released).0, Some(200));

    let calls = calls.all();
    assert_eq!(
        calls
            .iter()
            .map(|call| (call.number, call.status))
            .collect::<Vec<_>>(),
        [(1, None), (2, Some(200))]
    );
    assert_eq!(calls[1].body, r#"{"Status":"SUCCESS"}"#);
}
