//! Who is measured.

use crate::cloud::{Cloud, Lambda, TABLE, in_venv};
use std::path::Path;

/// Contains everything, as the guards and the remediations allow.
const POLICY: &str = "[[rule]]\nname = 'benchmark'\ntypes = ['*']\nresponse = 'contain'\n";

/// The parameter that says how far Quell may go.
pub const SWITCH: &str = "quell-kill-switch";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    Quell,
    /// The same runtime, and no AWS call: what no Lambda in Rust gets below.
    Bare,
    /// `handler.py`.
    Python,
}

impl Contender {
    pub const ALL: [Self; 3] = [Self::Quell, Self::Bare, Self::Python];

    pub fn name(self) -> &'static str {
        match self {
            Self::Quell => "Quell",
            Self::Bare => "no AWS call",
            Self::Python => "Python, boto3",
        }
    }

    /// Whether it is there to contain anything.
    pub fn contains(self) -> bool {
        self != Self::Bare
    }

    /// A new execution environment. Its process starts at the first invocation.
    pub async fn start(self, release: &Path, cloud: &Cloud, account: &crate::cloud::Account) -> Lambda {
        let topic = account.topic();
        let program: Vec<String> = match self {
            Self::Quell => vec![release.join("bootstrap").display().to_string()],
            Self::Bare => vec![release.join("bare").display().to_string()],
            Self::Python => {
                let python = in_venv("bin/python").display().to_string();
                [&python, "-m", "awslambdaric", "handler.handler"].map(str::to_owned).to_vec()
            }
        };
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        let environment = [
            ("QUELL_ACCOUNT", cloud.account_id.as_str()),
            ("QUELL_TOPIC_ARN", &topic),
            ("QUELL_TABLE", TABLE),
            ("QUELL_KILL_SWITCH", SWITCH),
            ("QUELL_POLICY", POLICY),
            ("TOPIC_ARN", &topic),
            ("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bench")),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ];
        Lambda::start(cloud, &account.function, &program, &environment).await
    }
}
