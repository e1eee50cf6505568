//! The Lambda: configuration, clients, run; nothing else.

use lambda_runtime::{Context, Error, LambdaEvent, run, service_fn};
use quell::config::Config;
use quell::handler::{Handler, Invocation};
use serde_json::Value;
use std::time::{Instant, SystemTime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    quell::log::start();
    let handler = Handler::new(Config::read(|name| std::env::var(name).ok())?, quell::aws::load().await);
    let handler = &handler;
    run(service_fn(async move |event: LambdaEvent<Value>| {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let Context { request_id: request, invoked_function_arn: function, .. } = event.context;
        let invocation = Invocation { request, function, deadline: Instant::now() + left };
        handler.handle(event.payload, &invocation).await.map_err(Error::from)
    }))
    .await
}
