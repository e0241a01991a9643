//! The Lambda function's `bootstrap` program: creates the clients once, then handles one invocation after another.

use std::{env, sync::Arc, time::SystemTime};

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use soci_provider::{
    app::App,
    handler::handle,
    pace::{self, Pace},
};

// One thread: the provider mostly waits.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let pace = Pace::parse(env::var(pace::VARIABLE).ok().as_deref())?;
    let function = env::var("AWS_LAMBDA_FUNCTION_NAME")?;
    let app = Arc::new(App::load(function, pace).await?);
    let handler = |invocation: LambdaEvent<Value>| {
        let app = Arc::clone(&app);
        async move {
            let deadline: SystemTime = invocation.context.deadline();
            // Boxed because the compiler limits how deeply futures nest.
            let handled = Box::pin(handle(&app, invocation.payload, deadline)).await;
            handled.map_err(lambda_runtime::Error::from)
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}
