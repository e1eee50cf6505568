//! The kill switch: an SSM parameter that says how far Quell may go.

use crate::cloud_error::{CloudError, Kind};
use crate::observed::KillSwitch;
use crate::policy::Response;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;

pub const PERMISSIONS: &[&str] = &["ssm:GetParameter"];

/// Reads the parameter. Its value is a response, and the most that is done: `notify`, `plan`, `approve` or `contain`.
///
/// A parameter that does not exist switches nothing: whoever may delete it may as well set it. One that cannot be read
/// may have been set, and is told so: then a person decides.
pub async fn read(ssm: &aws_sdk_ssm::Client, parameter: &str) -> KillSwitch {
    match ssm.get_parameter().name(parameter).send().await {
        Ok(answer) => meaning(answer.parameter().and_then(|parameter| parameter.value()).unwrap_or_default()),
        Err(error) if error.as_service_error().is_some_and(GetParameterError::is_parameter_not_found) => {
            KillSwitch::Open
        }
        Err(error) => {
            let error = CloudError::new("ssm:GetParameter", &error);
            KillSwitch::Unreadable { why: error.to_string(), transient: error.kind == Kind::Transient }
        }
    }
}

fn meaning(value: &str) -> KillSwitch {
    match Response::from_word(&value.trim().to_ascii_lowercase()) {
        Some(Response::Contain) => KillSwitch::Open,
        Some(response) => KillSwitch::AtMost(response),
        None => KillSwitch::Unclear { value: value.chars().take(40).collect() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_the_most_that_is_done() {
        assert_eq!(meaning("contain"), KillSwitch::Open);
        assert_eq!(meaning(" Plan\n"), KillSwitch::AtMost(Response::Plan));
        assert_eq!(meaning("approve"), KillSwitch::AtMost(Response::Approve));
        for unclear in ["", "on", "off", "stop"] {
            assert_eq!(meaning(unclear), KillSwitch::Unclear { value: unclear.to_owned() });
        }
    }
}
