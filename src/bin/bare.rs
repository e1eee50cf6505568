//! The floor that `make bench` measures against: a Lambda on the same runtime that answers without any AWS call.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: LambdaEvent<Value>| Ok::<Value, Error>(json!({})))).await
}
