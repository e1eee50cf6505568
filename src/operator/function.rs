//! Orders go to the function: it acts with its own role, and records who asked.

use super::access::{Access, access, failed};
use super::cli::Common;
use super::exit::Failure;
use super::proof::Proof;
use super::report::Section;
use super::wire::{Answer, Command, Envelope, Order};
use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The alias that the template gives the function for orders that change something.
pub const OPERATE: &str = "operate";

/// Gives an order, and waits for the answer.
///
/// # Errors
/// AWS or the function could not be asked; or the function says what is wrong with the order.
pub async fn ask(common: &Common, command: Command) -> Result<Value, Failure> {
    let access = access(common, None).await?;
    let changes = command.changes();
    let order = Order { command, by: Some(access.arn.clone()), proof: None };
    let order = Order { proof: proof(&access, &order).await, ..order };
    let payload = serde_json::to_vec(&Envelope { quell: order }).map_err(|error| Failure::asked(error.to_string()))?;
    let name = common.function();
    // A name that says by which alias or version is taken as it is: AWS wants both to agree.
    let qualifier = Some(OPERATE.to_owned()).filter(|_| changes && !is_qualified(&name));
    let call = aws_sdk_lambda::Client::new(&access.config).invoke().function_name(&name).payload(Blob::new(payload));
    let call = call.set_qualifier(qualifier);
    let answer = call.send().await.map_err(|error| {
        let failure = failed("lambda:InvokeFunction", &error);
        let missing = failure.why.contains("ResourceNotFoundException");
        let hint =
            format!("there is no function {name:?} here, or it has no alias {OPERATE:?}: name it with --function or QUELL_FUNCTION, and its --region");
        if missing { failure.hint(hint) } else { failure }
    })?;
    read(answer.function_error(), answer.payload().map(Blob::as_ref).unwrap_or_default())
}

/// Whether a function's name (`quell:operate`), partial ARN or ARN says by which alias or version.
fn is_qualified(name: &str) -> bool {
    matches!(name.split(':').count(), 2 | 4 | 8)
}

/// Without it the function goes by what we say, and says so.
async fn proof(access: &Access, order: &Order) -> Option<Proof> {
    let sts = access.sts.as_deref().filter(|_| order.command.changes())?;
    let proof = Proof::sign(&access.config, sts, order).await;
    proof.inspect_err(|error| tracing::debug!(%error, "the order goes out without a proof of who gives it")).ok()
}

/// Reads the function's answer.
fn read(function_error: Option<&str>, payload: &[u8]) -> Result<Value, Failure> {
    let body: Value = serde_json::from_slice(payload)
        .map_err(|error| Failure::aws(format!("the function's answer is no JSON: {error}")))?;
    if function_error.is_some() {
        let why = body.get("errorMessage").and_then(Value::as_str).map_or_else(|| body.to_string(), str::to_owned);
        return Err(Failure::aws(format!("the function failed: {why}"))
            .hint("its log says more; what was asked may have happened: look with \"quell show\""));
    }
    match Answer::deserialize(&body) {
        Ok(Answer::Ok(answer)) => Ok(answer),
        Ok(Answer::Error(why)) => Err(Failure::asked(why)),
        Ok(Answer::NotNow(why)) => Err(Failure::aws(why)),
        Err(_) => Err(Failure::aws(format!("the function does not answer orders: it said {body}"))
            .hint("is it Quell, and of this release?")),
    }
}

/// The answer as this release knows it; otherwise as it came, for people to read.
pub fn known<T: DeserializeOwned>(answer: &Value) -> Result<T, Vec<Section>> {
    T::deserialize(answer).map_err(|error| {
        let why = format!("The function is of another release than this command ({error}). Its answer, as it came:");
        vec![Section::Text(why), Section::Text(format!("{answer:#}"))]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::Exit;

    fn check(function_error: Option<&str>, payload: &str, expect: Result<&str, (Exit, &str)>) {
        match (read(function_error, payload.as_bytes()), expect) {
            (Ok(answer), Ok(expect)) => assert_eq!(answer.to_string(), expect),
            (Err(failure), Err((exit, expect))) => assert_eq!((failure.exit, failure.why.as_str()), (exit, expect)),
            (said, _) => panic!("{payload}: {said:?}"),
        }
    }

    #[test]
    fn a_name_may_say_by_which_alias() {
        for (name, expect) in [
            ("quell", false),
            ("quell:operate", true),
            ("111122223333:function:quell", false),
            ("111122223333:function:quell:operate", true),
            ("arn:aws:lambda:eu-west-1:111122223333:function:quell", false),
            ("arn:aws:lambda:eu-west-1:111122223333:function:quell:1", true),
        ] {
            assert_eq!(is_qualified(name), expect, "{name}");
        }
    }

    #[test]
    fn an_order_that_is_wrong_is_told_from_a_function_that_fails() {
        check(None, r#"{"ok":{"incidents":[]}}"#, Ok(r#"{"incidents":[]}"#));
        check(None, r#"{"error":"no such incident"}"#, Err((Exit::Asked, "no such incident")));
        check(None, r#"{"not_now":"another run is at it"}"#, Err((Exit::Aws, "another run is at it")));
        let failed = r#"{"errorType":"Error","errorMessage":"out of time"}"#;
        check(Some("Unhandled"), failed, Err((Exit::Aws, "the function failed: out of time")));
        let strange = r#"the function does not answer orders: it said {"ignored":"x"}"#;
        check(None, r#"{"ignored":"x"}"#, Err((Exit::Aws, strange)));
        check(
            None,
            "",
            Err((Exit::Aws, "the function's answer is no JSON: EOF while parsing a value at line 1 column 0")),
        );
    }
}
